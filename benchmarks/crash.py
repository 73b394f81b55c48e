"""Kills updates of a profile store with SIGKILL and counts: no event may be lost, and none may be taken in twice.

    .venv/bin/python benchmarks/crash.py [--kills 200] [--seed 0] [--postgresql]

A child takes batches of events into a store, one update each, and says on its standard output when one is done. It is
killed at a random moment while it works; another child goes on with the batch that was in flight, as a sender does who
does not know whether it arrived. After every kill the store is looked at: batches that were said to be done are there,
the one in flight is wholly there or wholly not. At the end the store must hold every event once, and the same profiles,
to the last bit, as a store that nobody disturbed. With --postgresql the stores lie on a server of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from recprofile.profiles.address import store_url
from recprofile.profiles.store import Store

RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  items: items.csv
stages:
  - encode: tfidf
    id: plot
    with: {columns: [title]}
  - encode: als
    id: taste
    with: {dim: 8}
  - fuse: weighted
    from: [plot, taste]
  - recommend: dot
  - update: fold-in
evaluate: {bootstrap: 10}
"""
USERS, ITEMS, EVENTS = 60, 40, 25  # EVENTS: in a batch
AT_ONCE = 0.25  # seconds after which a child that works is killed at the latest


def main() -> int:
    """Print the counts; 1 when an event was lost, came twice, or a profile is not what it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--child", nargs=3, metavar=("STORE", "FIRST", "LAST"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        take_in(given.child[0], int(given.child[1]), int(given.child[2]))
        return 0
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        os.chdir(folder)
        os.environ["RECPROFILE_CACHE"] = str(Path(folder) / "cache")
        stores = Stores("p.db", "calm.db")
        if given.postgresql:
            sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
            from scripts.postgres import server

            running = stack.enter_context(server())
            stores = Stores(running.database("p"), running.database("calm"))
        return crash(Path(folder), stores, given.kills, random.Random(given.seed))


@dataclass(frozen=True)
class Stores:
    """One that is disturbed, and one that is not."""

    disturbed: str
    calm: str


def crash(folder: Path, stores: Stores, kills: int, chance: random.Random) -> int:
    """Kill, look, go on; then compare with what nobody disturbed."""
    prepare(folder, stores, chance)
    begun = time.perf_counter()
    done = inside = outside = idle = lost = half = killed = 0
    while killed < kills:
        write_batches(folder, done, done + 60, chance)
        said = one_child(folder, stores.disturbed, (done, done + 60), chance)
        done = max([done, *(n + 1 for n in said)])
        killed += 1
        state = look(stores.disturbed)
        lost += sum(state.get(n, 0) != EVENTS for n in range(done))
        in_flight = state.get(done, 0)
        half += in_flight not in (0, EVENTS)
        idle += not said and not in_flight
        inside, outside = inside + (in_flight == EVENTS), outside + (in_flight == 0)
        if killed % 20 == 0:
            print(f"{killed} kills, {done} batches taken in", flush=True)
    last = done + 1
    run_child(folder, stores.disturbed, done, last)
    run_child(folder, stores.calm, 0, last)
    state = look(stores.disturbed)
    sent = last * EVENTS
    twice = sum(max(0, count - EVENTS) for count in state.values())
    lost += sum(state.get(n, 0) != EVENTS for n in range(last))
    same = profiles_of(stores.disturbed) == profiles_of(stores.calm)
    print(f"{killed} kills in {time.perf_counter() - begun:.0f} s; {last} batches, {sent:,} events")
    print(f"batch in flight when killed: {inside} wholly in, {outside} wholly out, {half} in part")
    print(f"events lost: {lost}; twice: {twice}; in the store: {sum(state.values()):,} of {sent:,}")
    print(f"profiles {'equal' if same else 'DIFFER FROM'} those of a store that nobody disturbed")
    return int(bool(lost or twice or half or not same or sum(state.values()) != sent))


def prepare(folder: Path, stores: Stores, chance: random.Random) -> None:
    """Files, a run, and two stores that hold its profiles."""
    rows = [(u, i) for u in range(USERS) for i in range(ITEMS) if chance.random() < 0.3]
    text = "user,item,weight,time\n" + "".join(f"u{u},i{i},1,{1_000_000 + n}\n" for n, (u, i) in enumerate(rows))
    (folder / "ratings.csv").write_text(text)
    names = [f"{a} {b}" for a in ("red", "blue", "lost", "deep") for b in "abcdefghij"]
    (folder / "items.csv").write_text("id,title\n" + "".join(f"i{n},{name}\n" for n, name in enumerate(names)))
    (folder / "shop.yaml").write_text(RECIPE)
    for store in (stores.disturbed, stores.calm):
        command = [sys.executable, "-m", "recprofile", "publish", "shop.yaml", "--store", store, "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def write_batches(folder: Path, first: int, last: int, chance: random.Random) -> None:
    """Batches that were not written before; an event's id says which batch it is of."""
    for n in range(first, last):
        path = folder / f"batch-{n}.jsonl"
        if not path.exists():
            events = [
                {
                    "event_id": f"{n}:{at}",
                    "user": f"u{chance.randrange(USERS + 20)}",
                    "item": f"i{chance.randrange(ITEMS)}",
                    "weight": 1,
                    "time": 2_000_000 + n * EVENTS + at,
                }
                for at in range(EVENTS)
            ]
            path.write_text("".join(json.dumps(event) + "\n" for event in events))


def one_child(folder: Path, store: str, batches: tuple[int, int], chance: random.Random) -> list[int]:
    """Kill a child while it works; the batches that it said were done."""
    child = subprocess.Popen(command_of(store, *batches), stdout=subprocess.PIPE, cwd=folder)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    time.sleep(chance.random() * AT_ONCE)
    child.send_signal(signal.SIGKILL)
    said = child.stdout.read().splitlines()
    child.wait()
    return [int(line) for line in said if line.isdigit()]


def run_child(folder: Path, store: str, first: int, last: int) -> None:
    """Let a child finish."""
    subprocess.run(command_of(store, first, last), check=True, stdout=subprocess.DEVNULL, cwd=folder)


def command_of(store: str, first: int, last: int) -> list[str]:
    """The command line of a child."""
    return [sys.executable, str(Path(__file__).resolve()), "--child", store, str(first), str(last)]


def take_in(store: str, first: int, last: int) -> None:
    """The child: what `recprofile update` does, batch by batch, so that a kill seldom falls on imports."""
    from recprofile.api import planned
    from recprofile.profiles.incoming import incoming_events
    from recprofile.profiles.stages import Stages
    from recprofile.profiles.update import update

    plan, registry = planned("shop.yaml")
    stages = Stages.of(plan, registry, lambda text: print(text, file=sys.stderr))
    opened = Store(store_url(store, Path()))
    import scipy.sparse  # noqa: F401 - loaded before the clock starts

    print("ready", flush=True)
    for n in range(first, last):
        events = incoming_events(Path(f"batch-{n}.jsonl"), plan, has_time=True, warn=lambda _: None)
        update(opened, stages, events)
        print(n, flush=True)


def look(store: str) -> dict[int, int]:
    """Events in the store by batch; stops where the store is damaged or a profile is of no change."""
    with Store(store_url(store, Path())).read() as connection:
        if connection.dialect.name == "sqlite":
            assert connection.execute(sa.text("pragma integrity_check")).scalar() == "ok"
            assert connection.execute(sa.text("pragma foreign_key_check")).all() == []
        told = connection.execute(sa.text("select sum(events) from versions where kind = 'update'")).scalar() or 0
        ids = connection.execute(sa.text(r"select event_id from events where event_id like '%\:%'")).scalars().all()
        assert told == len(ids), "a version tells of other events than there are"
    found: dict[int, int] = {}
    for event in ids:
        n = int(event.partition(":")[0])
        found[n] = found.get(n, 0) + 1
    return found


def profiles_of(store: str) -> dict[str, bytes]:
    """The newest vector of every user."""
    query = """select users."user", vector from profiles join users on users.id = profiles."user"
               where version = (select max(version) from profiles as p where p."user" = profiles."user")"""
    with Store(store_url(store, Path())).read() as connection:
        rows = connection.execute(sa.text(query)).all()
    return {user: np.frombuffer(vector, np.float32).tobytes() for user, vector in rows}


if __name__ == "__main__":
    sys.exit(main())
