"""Devices are named or refused, never quietly another one; seeds belong to stages."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from recprofile.device import resolve_device, seed_everything, stage_seed
from recprofile.errors import RunError, Span


@pytest.fixture
def machine(monkeypatch):
    """Makes torch see so many GPUs, and Apple's or not."""

    def make(cuda: int = 0, *, mps: bool = False) -> None:
        torch = SimpleNamespace(
            cuda=SimpleNamespace(is_available=lambda: cuda > 0, device_count=lambda: cuda),
            backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
        )
        monkeypatch.setitem(sys.modules, "torch", torch)
        monkeypatch.setattr(sys, "platform", "darwin")  # on Linux the files of /dev are asked first

    return make


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted", "got"),
    [
        (0, False, "auto", "cpu"),
        (0, True, "auto", "mps"),
        (2, True, "auto", "cuda:0"),
        (2, True, "cpu", "cpu"),
        (0, True, "mps", "mps"),
        (1, False, "cuda", "cuda:0"),
        (2, False, "cuda:1", "cuda:1"),
    ],
)
def test_a_device_that_is_there_is_taken(machine, cuda, mps, wanted, got):
    machine(cuda, mps=mps)
    assert resolve_device(wanted) == got


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted", "there"),
    [
        (0, False, "cuda", "cpu"),
        (0, True, "cuda:0", "cpu, mps"),
        (2, False, "cuda:2", "cpu, cuda:0, cuda:1"),
        (1, False, "mps", "cpu, cuda:0"),
    ],
)
def test_a_device_that_is_not_there_is_refused_and_the_others_are_named(machine, cuda, mps, wanted, there):
    machine(cuda, mps=mps)
    at = Span("r.yaml", 3, 9, len(wanted), f"device: {wanted}")
    with pytest.raises(RunError) as caught:
        resolve_device(wanted, at)
    assert str(caught.value).splitlines()[0] == f"r.yaml:3:9: RP603 the device '{wanted}' is not there"
    assert str(caught.value).splitlines()[-1] == f"     = devices here: {there}; 'auto' takes the best of them"
    assert caught.value.exit_code == 4


def test_the_cpu_needs_no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it now raises
    assert resolve_device("cpu") == "cpu"


@pytest.mark.skipif(
    sys.platform != "linux" or any(Path("/dev", name).exists() for name in ("nvidiactl", "dxg", "kfd")),
    reason="there may be an accelerator here, so torch is asked",
)
def test_auto_needs_no_torch_where_linux_shows_no_accelerator(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert resolve_device("auto") == "cpu"


def test_a_stages_seed_depends_on_the_recipes_seed_and_its_own_id_only():
    seeds = {stage_seed(seed, stage) for seed in (0, 1, 2**32 - 1) for stage in ("als", "als-2", "", "dot")}
    assert len(seeds) == 12
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert stage_seed(1, "1/als") != stage_seed(11, "als")


def test_a_stages_seed_is_the_same_in_every_process():
    code = "from recprofile.device import stage_seed; print(stage_seed(7, 'als'))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("0", "1")
    }
    assert found == {f"{stage_seed(7, 'als')}\n"}


def test_the_global_generators_are_seeded():
    draws = []
    for _ in range(2):
        seed_everything(11, torch=False)
        draws.append((random.random(), np.random.rand()))  # noqa: NPY002 - the global one is what is tested
    assert draws[0] == draws[1]


def test_torch_is_seeded_where_it_is_loaded_and_not_loaded_for_it(monkeypatch):
    given: list[int] = []
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(manual_seed=given.append))
    seed_everything(11, torch=False)
    assert given == [11]
    monkeypatch.delitem(sys.modules, "torch")
    seed_everything(12, torch=False)
    assert "torch" not in sys.modules


def test_torch_is_loaded_to_be_seeded_for_a_stage_that_may_draw_from_it():
    import torch

    seed_everything(11, torch=True)
    first = torch.rand(1)
    seed_everything(11, torch=True)
    assert torch.rand(1) == first


@pytest.mark.gpu
def test_auto_takes_the_gpu_that_torch_has():
    assert resolve_device("auto") == "cuda:0"
