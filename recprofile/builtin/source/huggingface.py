"""datasets://NAME?split=train&config=…: a data set of the hub of Hugging Face, or of a folder, by its own library."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, unquote

from recprofile.plugin import Copies, FetchProgress, RunError, did_you_mean

OPTIONS = ("split", "config", "revision")


def fetch_dataset(uri: str, *, base: Path, cache: Path, offline: bool, progress: FetchProgress | None = None) -> Path:
    """One split of a data set as Parquet; a name that begins with '.' or '/' is a folder, relative to the recipe.

    Raises RunError RP605 where the library is not installed or does not give it.
    """
    name, options = _parse(uri)
    if name.startswith((".", "/")):
        name = str(Path(base, name).absolute())
    if find_spec("datasets") is None:
        helps = ("pip install datasets", "the data sets that recprofile knows are written dataset://NAME/PART")
        raise RunError.of("RP605", "the library of 'datasets://' is not installed", help=helps)
    import datasets

    if progress:
        progress(uri, 0, None)
    try:
        found = datasets.load_dataset(
            name,
            options.get("config"),
            split=options.get("split", "train"),
            revision=options.get("revision"),
            download_config=datasets.DownloadConfig(local_files_only=offline),
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        said = " ".join(str(error).split())[:300]
        helps = (said, *(("there is no network (offline)",) if offline else ()))
        raise RunError.of("RP605", f"'{uri}' cannot be had", help=helps) from None
    copies = Copies.of(cache, uri)
    with copies.building() as place:
        built = place / "file.parquet"
        found.to_parquet(built)
        return copies.keep(built)


def _parse(uri: str) -> tuple[str, dict[str, str]]:
    name, _, rest = uri.partition("://")[2].partition("?")
    given = parse_qs(rest, keep_blank_values=True)
    wrong = next((key for key in given if key not in OPTIONS), None)
    if not name or wrong is not None:
        near = () if wrong is None else did_you_mean(wrong, OPTIONS, label="options")
        helps = (*near, "for example datasets://org/name?split=train&config=default")
        message = f"'{uri}' names no data set" if wrong is None else f"'{uri}' has the unknown option '{wrong}'"
        raise RunError.of("RP605", message, help=helps)
    return unquote(name), {key: values[-1] for key, values in given.items()}
