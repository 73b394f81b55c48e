"""A component run in a fresh Python: another hash seed, nothing imported before, nothing left over from other tests."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

from recprofile.artifacts import Pack, load_pack, save_pack
from recprofile.components import Component, Context
from recprofile.testing.given import Given, apply
from recprofile.testing.refitted import Refitted

HASH_SEED = "20071"  # any one that a test run is not likely to have


@dataclass(frozen=True)
class FreshRun:
    """What a fresh process made: a Pack for each example, and whether CUDA was touched."""

    packs: tuple[Pack, ...]
    used_cuda: bool


def run_in_fresh_process(
    component: type[Component[Any]],
    jobs: Sequence[tuple[Mapping[str, Any], Given]],
    ctx: Context,
    folder: Path,
    *,
    refitted: Refitted,
) -> FreshRun:
    """What the component makes of each (parameters, given) in a new process, on the device and seed of `ctx`.

    `folder` is new and takes what passes between the processes; `refitted` is what `refit` has given. AssertionError
    with the process's own words when it does not end well.
    """
    assert "<locals>" not in component.__qualname__, f"a fresh process cannot find {component.__qualname__}: move it up"
    folder.mkdir()
    for n, (_, given) in enumerate(jobs):
        for name in (f"given-{n}", f"made-{n}"):
            (folder / name).mkdir()
        save_pack(given.pack(), folder / f"given-{n}")
    refitted.save(folder / "refitted")
    module = sys.modules[component.__module__]
    what = {
        "module": component.__module__,
        "file": getattr(module, "__file__", None),
        "name": component.__qualname__,
        "examples": [component.params_type.model_validate(dict(example)).to_data() for example, _ in jobs],
        "context": {"stage": ctx.stage, "device": ctx.device, "seed": ctx.seed},
    }
    (folder / "job.json").write_text(json.dumps(what), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": HASH_SEED}
    command = [sys.executable, "-m", "recprofile.testing.fresh", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"in a fresh process it failed:\n{done.stderr}"
    packs = tuple(load_pack(folder / f"made-{n}") for n in range(len(jobs)))
    return FreshRun(packs, used_cuda=json.loads((folder / "told.json").read_bytes())["used_cuda"])


def _module(name: str, file: str | None) -> ModuleType:
    """The module of a component: by its name, or where that leads nowhere (a test file), from its file."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if file is None or not name.startswith(error.name or "-"):
            raise
    spec = importlib.util.spec_from_file_location("component_under_test", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main(folder: Path) -> None:
    """The fresh process: read the job, run it, write what was made."""
    job = json.loads((folder / "job.json").read_bytes())
    component = reduce(getattr, job["name"].split("."), _module(job["module"], job["file"]))
    assert isinstance(component, type)
    assert issubclass(component, Component)
    refitted = Refitted.load(folder / "refitted")
    for n, example in enumerate(job["examples"]):
        made = apply(
            component(component.params_type.model_validate(example)),
            Given.unpack(load_pack(folder / f"given-{n}")),
            Context(**job["context"], refit=refitted.inputs),
        )
        save_pack(made.pack(), folder / f"made-{n}")
    torch = sys.modules.get("torch")
    used = bool(torch and torch.cuda.is_initialized())
    (folder / "told.json").write_text(json.dumps({"used_cuda": used}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
