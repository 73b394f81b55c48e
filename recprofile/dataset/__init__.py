"""The `data:` block of a recipe → a Dataset: columnar, ids dense, values checked, split.

    files ─source─▶ columns ─values, ids─▶ events and tables ─split─▶ Dataset

`source` is one file: its form, what cannot be read, and where a row stands. `values` checks weights and times,
`ids` turns ids into dense rows, `tables` and `events` put a file together, `split` says which events are held out,
`opened` has the files with their columns known, `load` makes the Dataset, `probe` looks at files without reading them
whole, and `summary` describes a Dataset.

Rows are counted from 1, header and nothing else left out; errors about a text file name the line as well.
"""

from recprofile.dataset.load import load_dataset
from recprofile.dataset.probe import DataProbe, FileFacts, probe_data
from recprofile.dataset.source import check_ids, read_ids
from recprofile.dataset.split import Cut, cut_events
from recprofile.dataset.summary import describe

__all__ = [
    "Cut",
    "DataProbe",
    "FileFacts",
    "check_ids",
    "cut_events",
    "describe",
    "load_dataset",
    "probe_data",
    "read_ids",
]
