"""`--set stages.plot.with.max_tokens=64`: one value of a recipe, given on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from recprofile.errors import SET_FILE, Problem, RecipeError, Span, did_you_mean, quoted
from recprofile.source.compose import MAX_DEPTH, compose, core_scalar
from recprofile.source.text import Text
from recprofile.source.tree import Entry, child, replaced

_FORM = "write --set stages.plot.with.dim=64"
_CONSUMED = ("extends", "override")  # applied before any --set is


def assigned(root: Entry, argument: str, problems: list[Problem]) -> Entry:
    """The tree with one `--set` applied; or `root` itself, and problems (RP108), when it cannot be.

    A value that opens with a bracket, a brace or a quote is YAML; anything else is one scalar, so that `>= 4` and
    `sqlite:///profiles.db` need no quotes of YAML beside those of the shell. Nothing after `=` is null.
    """
    try:
        return _Assignment(argument).apply(root)
    except RecipeError as error:
        problems += error.problems
        return root


def stage_ids(stages: Entry | None) -> dict[str, int]:
    """The ids that stages give themselves, and at which index."""
    ids: dict[str, int] = {}
    for index, stage in enumerate(stages.value if stages and isinstance(stages.value, list) else ()):
        name = child(stage, "id")
        if name and isinstance(name.value, str):
            ids.setdefault(name.value, index)
    return ids


class _Assignment:
    def __init__(self, argument: str) -> None:
        self.text = Text(SET_FILE, argument)
        path, equals, _ = argument.partition("=")
        if not equals:
            raise self._refused(f"{quoted(argument)} has no '='", 0, len(argument), _FORM)
        self.parts = path.strip().split(".")
        self.begins = [path.index(path.strip())]
        for part in self.parts[:-1]:
            self.begins.append(self.begins[-1] + len(part) + 1)
        for index, part in enumerate(self.parts):
            if not part or part != part.strip():
                raise self._refused(f"{quoted(path.strip())} is not keys with dots between", 0, len(path), _FORM)
            if index == 0 and part in _CONSUMED:
                raise self._refused(f"'{part}' can only be written in a recipe file", 0, len(path))
        if len(self.parts) > MAX_DEPTH:
            raise self._refused(f"the path has more than {MAX_DEPTH} keys", 0, len(path))
        self.value = self._value(len(path) + 1)

    def apply(self, root: Entry) -> Entry:
        return self._apply(root, 0)

    def _apply(self, entry: Entry, depth: int) -> Entry:
        part: str | int = self.parts[depth]
        key = self._span(depth)
        if isinstance(entry.value, list):
            part = self._index(entry.value, depth)
            key = entry.value[part].key or key
        elif not isinstance(entry.value, dict):
            if entry.value is not None:
                above = quoted(".".join(self.parts[:depth]))
                raise self._refused(f"{above} is a single value, and has no keys", *self._bounds(depth - 1))
            entry = Entry({}, self._span(depth - 1), entry.key)
        if depth + 1 == len(self.parts):
            return replaced(entry, part, Entry(self.value.value, self.value.at, key))
        inner = child(entry, part) or Entry({}, key, key)
        return replaced(entry, part, self._apply(inner, depth + 1))

    def _index(self, entries: Sequence[Entry], depth: int) -> int:
        part = self.parts[depth]
        is_stages = self.parts[:depth] == ["stages"]
        ids = stage_ids(Entry(list(entries), self._span(depth))) if is_stages else {}
        if part in ids:
            return ids[part]
        if part.isascii() and part.isdigit() and len(part) < 7 and int(part) < len(entries):
            return int(part)
        help_lines = did_you_mean(part, ids, label="stages with an id")
        counted = f"entries are counted from 0 to {len(entries) - 1}" if entries else "the list is empty"
        what = "no stage has the id or place" if is_stages else f"{quoted('.'.join(self.parts[:depth]))} has no entry"
        raise self._refused(f"{what} {quoted(part)}", *self._bounds(depth), *help_lines, counted)

    def _value(self, start: int) -> Entry:
        written = self.text.content[start:]
        at = self.text.span(start + len(written) - len(written.lstrip()), len(self.text.content.rstrip()))
        problems: list[Problem] = []
        if not written.lstrip().startswith(("[", "{", '"', "'")):
            try:
                return Entry(core_scalar(written.strip()), at)
            except ValueError as error:
                raise RecipeError(Problem("RP108", str(error), at)) from None
        try:
            value = compose(self.text, problems, start=start)
        except RecipeError as error:
            problems += error.problems
            value = None
        if problems or value is None:
            raise RecipeError([Problem("RP108", p.message, p.at, p.help) for p in problems])
        return value

    def _bounds(self, depth: int) -> tuple[int, int]:
        begin = self.begins[depth]
        return begin, begin + len(self.parts[depth])

    def _span(self, depth: int) -> Span:
        return self.text.span(*self._bounds(max(depth, 0)))

    def _refused(self, message: str, start: int, end: int, *help: str) -> RecipeError:
        return RecipeError(Problem("RP108", message, self.text.span(start, end), help))
