"""What holds for every test, of recprofile and of its plugins: a clean environment, no network, a GPU where asked."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

Connect = Callable[[socket.socket, tuple[str, int]], int | None]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests reaches them; the cache is empty and assets cannot be fetched."""
    for name in os.environ:
        if name.startswith(("RECPROFILE_", "HF_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RECPROFILE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RECPROFILE_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that leaves this machine fails; subprocesses are not watched, but inherit RECPROFILE_OFFLINE."""
    for method in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, method, _guarded(getattr(socket.socket, method)))


def _guarded(connect: Connect) -> Connect:
    def connect_here(self: socket.socket, address: tuple[str, int]) -> int | None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            # Not an OSError: code under test may catch those and try again.
            message = f"a test tried to reach {address[0]}: tests use no network"
            raise RuntimeError(message)
        return connect(self, address)

    return connect_here


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where there is no CUDA device; torch is imported only if there are such tests."""
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in gpu:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
