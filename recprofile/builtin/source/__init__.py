"""URI schemes of data outside this disk: databases, the web and object stores, data sets of the Hugging Face hub.

Each function gives a file below recprofile's cache, written whole; drivers are imported when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from recprofile.builtin.source.huggingface import fetch_dataset
from recprofile.builtin.source.sql import DATABASES, fetch_query
from recprofile.builtin.source.stored import STORES, fetch_object
from recprofile.builtin.source.web import fetch_page

SOURCES: Mapping[str, Callable[..., Path]] = {
    **dict.fromkeys(DATABASES, fetch_query),
    **dict.fromkeys(STORES, fetch_object),
    **dict.fromkeys(("https", "http"), fetch_page),
    "datasets": fetch_dataset,
}
