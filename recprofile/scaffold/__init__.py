"""A new plugin package, written for its author: what `recprofile plugins new` does.

`templates` has one component per kind, checked and tested as all code here; `package` has the other files.
"""

from recprofile.scaffold.write import KINDS, Kind, Written, check_name, write_plugin

__all__ = ["KINDS", "Kind", "Written", "check_name", "write_plugin"]
