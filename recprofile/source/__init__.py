"""Recipe files as a tree in which every key and value knows where it was written.

    file ─text─▶ text ─compose─▶ Entry ─layers (extends, override, --set)─▶ Source

`tree` has the values, `text` reads files, `compose` turns YAML 1.2 into a tree, `syntax` says what YAML did not like,
`layers` puts files together, `environment` looks after `${env:NAME}`, and `dump` writes YAML.
"""

from recprofile.source.dump import dump_yaml
from recprofile.source.environment import expand_env, unexpanded
from recprofile.source.layers import read_source
from recprofile.source.tree import Entry, Scalar, Source

__all__ = ["Entry", "Scalar", "Source", "dump_yaml", "expand_env", "read_source", "unexpanded"]
