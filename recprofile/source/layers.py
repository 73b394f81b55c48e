"""Recipe files put together: `extends`, then `override`, then `--set`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from recprofile.errors import Problem, RecipeError, Span, did_you_mean, in_file_order, quoted
from recprofile.source.assign import assigned, stage_ids
from recprofile.source.compose import compose
from recprofile.source.environment import environment_problems, first_reference, misplaced
from recprofile.source.text import read_text
from recprofile.source.tree import Entry, Source, child, merged, replaced

MAX_CHAIN = 16  # files that extend one another


def read_source(
    path: str | os.PathLike[str], sets: Sequence[str] = (), *, check_env: bool = True, go_on: bool = False
) -> Source:
    """The recipe at `path` with its bases merged and each `--set` of `sets` applied.

    Raises RecipeError with every problem of the text (RP1xx, and RP202 or RP203 for a recipe that is no mapping) in
    file order. With `go_on`, problems that do not hide the rest (a key twice, a variable that is not set) are left in
    `Source.problems`, so that they can be told together with those of shape, names and wiring. `check_env=False` lets
    `${env:NAME}` name a variable that is not set here.
    """
    reading = _Reading()
    root = reading.file(os.fspath(path), None, ())
    problems = reading.problems
    if root is not None and reading.whole:
        for argument in sets:
            root = assigned(root, argument, problems)
        problems += environment_problems(root, check_set=check_env)
    problems = in_file_order(problems, reading.files)
    if root is None or not reading.whole or (problems and not go_on):
        raise RecipeError(problems)
    return Source(Path(path), root, tuple(Path(file) for file in reading.files), tuple(problems))


@dataclass
class _Reading:
    problems: list[Problem] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    whole: bool = True  # every file could be read and parsed

    def file(self, file: str, asked: Span | None, chain: tuple[str, ...]) -> Entry | None:
        """The mapping in a file, on top of what it extends; `asked` is where another file names it."""
        self.files.append(file)
        try:
            root = compose(read_text(file, asked), self.problems)
            if root is None or root.value is None:
                help_line = "the smallest recipe has the keys recipe, data and stages"
                raise RecipeError(Problem("RP202", "the recipe is empty", Span(file, 1, 1), (help_line,)))
            if not isinstance(root.value, dict):
                kind = "a list" if isinstance(root.value, list) else "a single value"
                raise RecipeError(Problem("RP203", f"the recipe is {kind}, and must be a mapping", root.at))
        except RecipeError as error:
            self.problems += error.problems
            self.whole = False
            return None
        extends, override = root.value.get("extends"), root.value.get("override")
        root = replace(root, value={k: v for k, v in root.value.items() if k not in ("extends", "override")})
        if extends is not None:
            base = self._base(extends, file, (*chain, file))
            root = merged(base, root) if base else root
        if override is not None and self.whole:
            root = self._overridden(root, override)
        return root

    def _base(self, extends: Entry, file: str, chain: tuple[str, ...]) -> Entry | None:
        name = extends.value
        if not isinstance(name, str) or not name:
            self._refuse("RP203", "'extends' must be the path of one recipe", extends.at)
        elif found := first_reference(name):
            self.problems.append(misplaced(found, extends))
            self.whole = False
        else:
            base = _beside(file, name)
            real = [os.path.realpath(one) for one in chain]
            if os.path.realpath(base) in real:
                circle = [*chain[real.index(os.path.realpath(base)) :], base]
                self._refuse("RP106", f"'extends' leads in a circle: {' → '.join(circle)}", extends.at)
            elif len(chain) == MAX_CHAIN:
                self._refuse("RP105", f"more than {MAX_CHAIN} recipes extend one another", extends.at)
            else:
                return self.file(base, extends.at, chain)
        return None

    def _overridden(self, root: Entry, override: Entry) -> Entry:
        """The tree with `override: {id: {param: value}}` merged into the `with` of the stages it names."""
        if not isinstance(override.value, dict):
            help_line = "write override: {plot: {max_tokens: 64}}"
            self.problems.append(
                Problem("RP203", "'override' must be a mapping of stage ids", override.at, (help_line,))
            )
            return root
        stages = child(root, "stages")
        for name, params in override.value.items():
            index = stage_ids(stages).get(name)
            if stages is None or index is None:
                help_lines = did_you_mean(name, stage_ids(stages), label="stages with an id")
                message = f"'override' names no stage: {quoted(name)}"
                self.problems.append(Problem("RP106", message, params.key, help_lines))
            elif not isinstance(params.value, dict):
                message = f"what overrides {quoted(name)} must be a mapping of parameters"
                self.problems.append(Problem("RP203", message, params.at))
            else:
                stage = child(stages, index)
                assert stage is not None
                before = child(stage, "with")
                new = params if before is None else replace(merged(before, params), key=before.key, at=before.at)
                stages = replaced(stages, index, replaced(stage, "with", new))
                root = replaced(root, "stages", stages)
        return root

    def _refuse(self, code: str, message: str, at: Span) -> None:
        self.problems.append(Problem(code, message, at))
        self.whole = False


def _beside(file: str, name: str) -> str:
    """The path that `name` means in `file`, without 'a/..' where taking it out does not lead elsewhere."""
    joined = os.path.join(os.path.dirname(file), name)
    short = os.path.normpath(joined)
    return short if os.path.realpath(short) == os.path.realpath(joined) else joined
