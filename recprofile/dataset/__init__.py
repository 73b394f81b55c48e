"""The `data:` block of a recipe → a Dataset: columnar, ids dense, values checked, split.

    files ─source─▶ columns ─values, ids─▶ events and tables ─split─▶ Dataset

`source` is one file: its form, what cannot be read, and where a row stands. `values` checks weights and times,
`ids` turns ids into dense rows, `tables` and `events` put a file together, `split` says which events are held out,
`load` makes the Dataset, and `summary` describes one.

Rows are counted from 1, header and nothing else left out; errors about a text file name the line as well.
"""

from recprofile.dataset.load import load_dataset
from recprofile.dataset.source import read_ids
from recprofile.dataset.split import Cut, cut_events
from recprofile.dataset.summary import describe

__all__ = ["Cut", "cut_events", "describe", "load_dataset", "read_ids"]
