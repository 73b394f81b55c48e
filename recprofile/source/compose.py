"""YAML 1.2 text to a located tree.

PyYAML reads YAML 1.1 (`no` is false, `10:30` is 630, `1e-3` is text, the last of two equal keys wins), so only its
scanner and parser are used: events come in, and scalars, keys, tags, aliases and bounds are settled here.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from recprofile.errors import Problem, RecipeError, Span, did_you_mean, quoted
from recprofile.source.syntax import syntax_problem
from recprofile.source.text import Text
from recprofile.source.tree import Entry, Scalar

MAX_DEPTH = 64
MAX_NODES = 100_000  # keys and values, each alias counted as often as it is used
MAX_DIGITS = 400  # a whole number with more is a mistake, and slow to print
TAG = "tag:yaml.org,2002:"

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TAGGED: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "null": (type(None),)}


def core_scalar(text: str) -> Scalar:
    """What unquoted text means under the YAML 1.2 core schema. Raises ValueError for a number beyond all bounds."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"a whole number has more than {MAX_DIGITS} digits")
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text if base == 10 else text[2:], base)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def compose(text: Text, problems: list[Problem], *, start: int = 0) -> Entry | None:
    """The tree of the one YAML document that `text` holds from `start` on, or None when it holds nothing.

    What can be read past (a key twice, an unknown tag) goes to `problems`. Raises RecipeError for what cannot:
    syntax (RP103), and bounds (RP105).
    """
    try:
        return _Composer(text, start, problems).document()
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise RecipeError(syntax_problem(error, text, start)) from None


class _Composer:
    def __init__(self, text: Text, start: int, problems: list[Problem]) -> None:
        self.text = text
        self.start = start
        self.problems = problems
        self.loader = yaml.SafeLoader(text.content[start:])
        self.nodes = 0
        # name → (entry, nodes, height); None while the value is being read, so that an alias inside itself is seen
        self.anchors: dict[str, tuple[Entry, int, int] | None] = {}

    def document(self) -> Entry | None:
        self._next()  # stream start
        if self._at(yaml.StreamEndEvent):
            return None
        self._next()  # document start
        root, _ = self._node(1, None)
        self._next()  # document end
        if not self._at(yaml.StreamEndEvent):
            self._problem("RP103", "a second document starts here", self._span(self._peek()))
        return root

    def _node(self, depth: int, key: Span | None) -> tuple[Entry, int]:
        """The next value and its height (1 for a scalar)."""
        event = self._next()
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth, key)
        self._count(1, depth, event)
        before = self.nodes
        if event.anchor:
            self.anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            entry, height = Entry(self._scalar(event), self._span(event), key), 1
            if key and event.value == "" and event.style is None:
                entry.at = key  # nothing is written: the key is what can be shown
        elif isinstance(event, yaml.MappingStartEvent):
            entry, height = self._mapping(event, depth, key)
        else:
            entry, height = self._list(event, depth, key)
        if event.anchor:
            self.anchors[event.anchor] = (entry, self.nodes - before + 1, height)
        return entry, height

    def _alias(self, event: yaml.AliasEvent, depth: int, key: Span | None) -> tuple[Entry, int]:
        at, name = self._span(event), event.anchor or ""
        if name not in self.anchors:
            help_lines = did_you_mean(name, self.anchors, label="anchors")
            self._problem("RP103", f"no anchor {quoted('&' + name)} stands before this", at, *help_lines)
            return Entry(None, at, key), 1
        found = self.anchors[name]
        if found is None:
            raise RecipeError(Problem("RP105", f"the alias {quoted('*' + name)} stands inside its own value", at))
        entry, nodes, height = found
        self._count(nodes, depth + height - 1, event)
        return Entry(entry.value, at, key), height

    def _mapping(self, event: yaml.MappingStartEvent, depth: int, key: Span | None) -> tuple[Entry, int]:
        self._check_tag(event, "map")
        value: dict[str, Entry] = {}
        bases: list[dict[str, Entry]] = []
        height = 0
        first: Span | None = None
        while not self._at(yaml.MappingEndEvent):
            at = self._span(self._peek())
            first = first or at
            name = self._key(depth + 1, at)
            inner, inner_height = self._node(depth + 1, at)
            height = max(height, inner_height)
            if name is None:
                continue
            if name == "<<" and at.length == 2:  # quoted, it is a key like any other
                bases += self._merge_bases(inner)
            elif name in value:
                seen = value[name].key
                where = (f"the first is in line {seen.line}",) if seen else ()
                self._problem("RP104", f"the key {quoted(name)} stands twice in one mapping", at, *where)
            else:
                value[name] = inner
        end = self._next()
        for base in bases:
            for name, inner in base.items():
                value.setdefault(name, inner)
        shown = first if first and not event.flow_style else self._span(event, end)
        return Entry(value, shown, key), height + 1

    def _key(self, depth: int, at: Span) -> str | None:
        """The name of the next key, or None (and a problem) when it is not text."""
        if not self._at(yaml.ScalarEvent):
            self._node(depth, None)
            self._problem("RP203", "a key must be text, and this is none", at)
            return None
        event = self._next()
        self._count(1, depth, event)
        name = self._scalar(event)
        if event.anchor:
            self.anchors[event.anchor] = (Entry(name, at), 1, 1)
        if isinstance(name, str):
            return name
        help_lines = (f"write it in quotes: '{event.value}'",) if event.value else ()
        self._problem("RP203", f"a key must be text, and this is {_kind(name)}", at, *help_lines)
        return None

    def _merge_bases(self, entry: Entry) -> list[dict[str, Entry]]:
        several = entry.value if isinstance(entry.value, list) else [entry]
        bases = [base.value for base in several if isinstance(base.value, dict)]
        if len(bases) < len(several):
            self._problem("RP203", "'<<' must have an alias of a mapping, or a list of such", entry.at)
        return bases

    def _list(self, event: yaml.SequenceStartEvent, depth: int, key: Span | None) -> tuple[Entry, int]:
        self._check_tag(event, "seq")
        value: list[Entry] = []
        height = 0
        while not self._at(yaml.SequenceEndEvent):
            inner, inner_height = self._node(depth + 1, None)
            value.append(inner)
            height = max(height, inner_height)
        end = self._next()
        return Entry(value, self._span(event, end if event.flow_style else None), key), height + 1

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        text: str = event.value
        tag = event.tag
        try:
            if tag is None:
                return text if event.style else core_scalar(text)
            if tag in ("!", f"{TAG}str"):
                return text
            kinds = _TAGGED.get(tag.removeprefix(TAG)) if tag.startswith(TAG) else None
            if kinds is None:
                self._check_tag(event, "str")
                return text
            value = core_scalar(text)
            if isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds):
                return float(value) if tag == f"{TAG}float" and value is not None else value
            self._problem("RP203", f"{quoted(text)} is not what its tag says", self._span(event))
        except ValueError as error:
            self._problem("RP105", str(error), self._span(event))
            return 0
        return text

    def _check_tag(self, event: yaml.NodeEvent, allowed: str) -> None:
        tag = getattr(event, "tag", None)
        if tag in (None, "!", TAG + allowed):
            return
        shown = f"!!{tag.removeprefix(TAG)}" if tag.startswith(TAG) else tag
        help_line = "a recipe holds text, numbers, true, false, lists and mappings; quote text that starts with '!'"
        self._problem("RP103", f"the tag {quoted(shown)} cannot stand here", self._span(event), help_line)

    def _count(self, nodes: int, depth: int, event: yaml.Event) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            aliases = ", aliases expanded" if isinstance(event, yaml.AliasEvent) else ""
            message = f"the recipe has more than {MAX_NODES} keys and values{aliases}"
        elif depth > MAX_DEPTH:
            message = f"values are nested more than {MAX_DEPTH} deep"
        else:
            return
        raise RecipeError(Problem("RP105", message, self._span(event)))

    # PyYAML's parser is untyped: these say what comes out.
    def _next(self) -> Any:
        return self.loader.get_event()  # type: ignore[no-untyped-call]  # see above

    def _peek(self) -> Any:
        return self.loader.peek_event()  # type: ignore[no-untyped-call]  # see above

    def _at(self, kind: type[yaml.Event]) -> bool:
        return bool(self.loader.check_event(kind))

    def _span(self, event: yaml.Event, end: yaml.Event | None = None) -> Span:
        first, last = event.start_mark, (end or event).end_mark
        assert first is not None  # the events of a parser have marks
        assert last is not None
        return self.text.span(self.start + first.index, self.start + last.index)

    def _problem(self, code: str, message: str, at: Span, *help: str) -> None:
        self.problems.append(Problem(code, message, at, help))


def _kind(value: Scalar) -> str:
    return {bool: "true or false", type(None): "nothing"}.get(type(value), "a number")
