"""hub://org/model[@revision]: a model of the Hugging Face hub, kept in that hub's own cache.

Only configuration, tokenizer and safetensors files are taken: pickled weights can run code when they are read.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from recprofile.assets.fingerprints import file_digests, listing_digest
from recprofile.assets.store import Progress
from recprofile.errors import RecprofileError, RunError

PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_ADDRESS = re.compile(rf"hub://(?P<model>(?:{_PART}/)?{_PART})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?/?")


@dataclass(frozen=True, slots=True)
class HubAddress:
    """A model of the hub and its revision: a branch, tag or commit; None is the main branch."""

    model: str
    revision: str | None = None

    @classmethod
    def parse(cls, uri: str) -> HubAddress:
        """The address a URI spells; raises RP605."""
        found = _ADDRESS.fullmatch(uri)
        if found is None:
            helps = ("for example hub://sentence-transformers/all-MiniLM-L6-v2",)
            raise RunError.of("RP605", f"'{uri}' is not of the form hub://org/model[@revision]", help=helps)
        return cls(found["model"], found["revision"])

    @property
    def how(self) -> tuple[str, ...]:
        """How to get the model when it is not here."""
        revision = f" --revision {self.revision}" if self.revision else ""
        return (
            f"run once with a network: hf download {self.model}{revision}",
            "or give the path of a folder with its config.json, tokenizer and safetensors instead",
        )


def fetch_model(
    address: HubAddress, *, offline: bool, memos: Path, progress: Progress | None = None
) -> tuple[Path, str]:
    """Folder and fingerprint of a model's configuration, tokenizer and weights, from the hub's cache or the hub.

    A weight file that differs from the checksum the hub gave is fetched again. Raises RP605 if huggingface_hub is not
    installed, the model cannot be had, or it has no safetensors weights.
    """
    for again in (False, True):
        folder = _snapshot(address, offline=offline, again=again, progress=progress)
        if lacking := _lacking(folder):
            raise _missing(address, f"is without {lacking} in '{folder}'")
        digests = file_digests(folder, memos=memos, keep=lambda name: any(fnmatch(name, one) for one in PATTERNS))
        damaged = _damaged(folder, digests)
        if damaged is None:
            return folder, listing_digest(digests)
        if offline:
            break
    raise _missing(address, f"is damaged in the cache of the hub: the checksum of '{damaged}' differs")


def snapshot_here(address: HubAddress) -> Path | None:
    """A snapshot of the model in the hub's cache, the revision's own where it names one; what is in it is not read.

    The layout of that cache is the hub's: models--org--name/{refs/<revision>, snapshots/<commit>/}.
    """
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    folder = cache / f"models--{address.model.replace('/', '--')}"
    revision = address.revision or "main"
    try:
        commit = (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):  # ValueError: what is there is no text
        commit = revision
    found = folder / "snapshots" / commit
    return found if found.is_dir() else None


def _snapshot(address: HubAddress, *, offline: bool, again: bool, progress: Progress | None) -> Path:
    """Folder of a model in the hub's cache, where the hub is asked for what is missing, or for all of it `again`."""
    try:
        import huggingface_hub as hub
        from huggingface_hub import errors
    except ModuleNotFoundError as error:
        message = f"'hub://{address.model}' needs the library {error.name}"
        raise RunError.of("RP605", message, help=("install recprofile-hf",)) from error
    # The root of the errors of the HTTP library, whichever this version of the hub uses.
    http_error: type[BaseException] = errors.HfHubHTTPError.__bases__[0]
    try:
        found = hub.snapshot_download(
            address.model,
            revision=address.revision,
            allow_patterns=list(PATTERNS),
            local_files_only=offline,
            force_download=again,
            tqdm_class=_bars(f"{address.model}: download", progress),
        )
    except errors.GatedRepoError as error:
        helps = (f"ask for access at https://huggingface.co/{address.model}, then: hf auth login", *address.how[1:])
        raise _missing(address, "is given out only after a request", helps) from error
    except errors.RepositoryNotFoundError as error:
        helps = ("for a private model, first: hf auth login", *address.how[1:])
        raise _missing(address, "is not on the hub, or is private", helps) from error
    except errors.RevisionNotFoundError as error:
        raise _missing(address, f"has no revision '{address.revision or 'main'}' on the hub") from error
    except errors.IncompleteSnapshotError as error:
        raise _missing(
            address, f"is only partly in the cache of the hub, and {_no_network(offline=offline)}"
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise _missing(address, f"is not in the cache of the hub, and {_no_network(offline=offline)}") from error
    except (OSError, http_error) as error:
        why = str(error).strip().split("\n")[0][:200]
        raise _missing(address, "cannot be fetched", (f"hub: {why}", *address.how)) from error
    return Path(found)


def _no_network(*, offline: bool) -> str:
    return "there is no network (offline)" if offline else "the hub cannot be reached"


def _missing(address: HubAddress, what: str, helps: Sequence[str] | None = None) -> RecprofileError:
    return RunError.of("RP605", f"model '{address.model}' {what}", help=address.how if helps is None else helps)


def _lacking(folder: Path) -> str | None:
    """What is missing in a snapshot: configuration, weights, or the first missing part of the weights."""
    if not (folder / "config.json").exists():
        return "config.json"
    for index in folder.glob("*.safetensors.index.json"):
        with suppress(OSError, ValueError, KeyError, AttributeError):  # not an index: the loader will say so
            for name in sorted(set(json.loads(index.read_bytes())["weight_map"].values())):
                if not (folder / name).exists():
                    return f"'{name}'"
    return None if any(folder.glob("**/*.safetensors")) else "safetensors weights"


def _damaged(folder: Path, digests: Mapping[str, str]) -> str | None:
    """The first file whose contents differ from the checksum that is its name in the hub's cache (large files only)."""
    for name, digest in sorted(digests.items()):
        blob = (folder / name).resolve().name
        if re.fullmatch(r"[0-9a-f]{64}", blob) and blob != digest:
            return name
    return None


def _bars(label: str, progress: Progress | None) -> type:
    """A tqdm class for the hub that draws nothing and reports the bytes that have arrived."""
    from tqdm.auto import tqdm  # type: ignore[import-untyped]  # noqa: PLC0415  # untyped; comes with the hub

    class Bar(tqdm):  # type: ignore[misc]  # see above
        monitor_interval = 0  # no thread to redraw what is not drawn

        def __init__(self, *args: object, **kwargs: object) -> None:
            kwargs.pop("name", None)  # the hub's own name for a group of bars
            super().__init__(*args, **(kwargs | {"file": io.StringIO(), "disable": False}))

        def display(self, *args: object, **kwargs: object) -> None:
            if progress and self.unit == "B":
                progress(label, int(self.n), int(self.total) if self.total else None)

    if progress:
        progress(label, 0, None)
    return Bar
