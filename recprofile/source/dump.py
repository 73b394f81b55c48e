"""Plain data as YAML that every reader takes for the same data."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

# Scalars that YAML 1.2 reads as something other than text and PyYAML, a YAML 1.1 writer, would leave unquoted.
_CORE = re.compile(
    r"""(?: ~ | null|Null|NULL | true|True|TRUE | false|False|FALSE
      | [-+]?[0-9]+ | 0o[0-7]+ | 0x[0-9a-fA-F]+
      | [-+]?(?:\.[0-9]+ | [0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?
      | [-+]?\.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN) )$""",
    re.VERBOSE,
)
_BREAKS = re.compile("[\n\r\x85\u2028\u2029]")


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Plain data in block style: keys in their order, text quoted where YAML 1.1 or 1.2 would not read text."""
    return yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=sys.maxsize
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - PyYAML's
        """Lists in mappings are indented too."""
        super().increase_indent(flow, indentless=False)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _BREAKS.search(text) else None)


def _sequence(dumper: _Dumper, items: Sequence[Any]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items)


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _CORE, list("~-+.0123456789nNtTfF"))
_Dumper.add_representer(str, _text)
_Dumper.add_representer(tuple, _sequence)
