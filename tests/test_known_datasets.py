"""recprofile.assets.known: what the tables of each data set are made of, from files as its source has them."""

import polars as pl
import pytest

from recprofile.assets import DATASETS
from recprofile.assets.known.movielens import SKIPPED, _links


def converted(name, folder):
    """The tables by part; each has the columns that the card describes."""
    card = DATASETS[name]
    tables = card.convert(folder)
    assert {part: table.columns for part, table in tables.items()} == {
        part: list(described.columns) for part, described in card.parts.items()
    }
    return tables


def test_movielens_1m_has_ids_without_the_sources_prefix(tmp_path):
    (tmp_path / "ml-1m.inter").write_bytes(
        b"user_id:token\titem_id:token\trating:float\ttimestamp:float\r\n1m_7\tHeat (1995)\t5\t978300760\r\n"
    )
    (tmp_path / "ml-1m.item").write_bytes(
        b"item_id:token\tmovie_title:token\trelease_year:float\tgenre:token\r\nHeat (1995)\tHeat\t1995\tCrime Drama\r\n"
    )
    (tmp_path / "ml-1m.user").write_bytes(
        b"user_id:token\tage:float\tgender:token\toccupation:float\tzip_code:token\r\n1m_7\t56\tM\t16\t07002\r\n"
    )
    found = converted("movielens-1m", tmp_path)
    assert found["interactions"].rows() == [(7, "Heat (1995)", 5.0, 978300760)]
    assert found["items"].rows() == [("Heat (1995)", "Heat", 1995, "Crime Drama", "Heat (1995) Crime Drama")]
    assert found["users"].rows() == [(7, 56, "M", 16, "07002")]


def test_films_of_movielens_100k_are_linked_by_title_and_year_over_the_numbers_of_1m():
    films = pl.DataFrame({
        "item_id": ["1", "2", "3", "4"], "movie_title": ["Sun", "Heat", "Heat", "Rain"],
        "release_year": ["1995", "1995", "1986", "V"],
    })  # fmt: skip
    titles = [f"film {n}" for n in range(89)] + ["Heat", "Sun", "Rain"]  # the 90th, and the 92nd: there is no 91st
    larger = pl.DataFrame({"item_id": titles, "movie_title": titles, "release_year": ["1995.0"] * 92})
    links = pl.DataFrame({"item_id": ["2", "90", "91", "92", "93"], "entity_id": ["x", "heat", "y", "sun", "rain"]})
    assert _links(links, films, larger).rows() == [(1, "sun"), (2, "heat")]
    assert len(SKIPPED) == 3952 - 3883  # the films of MovieLens 1M, and their last number


def test_book_crossing_is_read_with_its_escapes_entities_and_unknowns(tmp_path):
    pictures = '"http://s";"http://m";"http://l"'
    (tmp_path / "BX-Books.csv").write_bytes(
        f""""ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S";"Image-URL-M";"Image-URL-L"
"1";"\\"Twilight\\" of; Idols";"F. \xe9";"1969";"Tom &amp; Co";{pictures}
"2";"Town";"";"0";"Pan";{pictures}
"2";"Town again";"";"0";"Pan";{pictures}
""".encode("cp1252")
    )
    (tmp_path / "BX-Book-Ratings.csv").write_text('"User-ID";"ISBN";"Book-Rating"\n"9";"1";"0"\n"9";"x";"7"\n')
    (tmp_path / "BX-Users.csv").write_text('"User-ID";"Location";"Age"\n"9";"nyc, new york, usa";NULL\n')
    found = converted("book-crossing", tmp_path)
    assert found["interactions"].rows() == [(9, "1", 0.0), (9, "x", 7.0)]
    title = '"Twilight" of; Idols'
    assert found["items"].rows() == [
        ("1", title, "F. \xe9", "Tom & Co", 1969, f"{title} by F. \xe9 (1969)"),
        ("2", "Town", None, "Pan", None, "Town"),
    ]
    assert found["users"].rows() == [(9, "nyc, new york, usa", None)]


def test_complete_journey_has_seconds_and_text_without_what_is_not_known(tmp_path):
    from datetime import UTC, datetime

    pl.DataFrame({
        "household_id": [900], "store_id": [3], "basket_id": [8], "product_id": [25], "quantity": [2.0],
        "sales_value": [1.5], "retail_disc": [0.0], "coupon_disc": [0.0], "coupon_match_disc": [0.0], "week": [1],
        "transaction_timestamp": [datetime(2017, 1, 1, 0, 1, tzinfo=UTC)],
    }).write_parquet(tmp_path / "transactions.parquet")  # fmt: skip
    pl.DataFrame({
        "product_id": [25], "manufacturer_id": [2], "department": ["GROCERY"], "brand": ["National"],
        "product_category": [None], "product_type": ["ICE"], "package_size": ["22 LB"],
    }, schema_overrides={"product_category": pl.String}).write_parquet(tmp_path / "products.parquet")  # fmt: skip
    pl.DataFrame({
        "household_id": ["900"], "age": ["65+"], "income": ["35-49K"], "home_ownership": ["Homeowner"],
        "marital_status": [None], "household_size": ["2"], "household_comp": ["2 Adults"], "kids_count": ["0"],
    }, schema_overrides={"marital_status": pl.String}).write_parquet(tmp_path / "demographics.parquet")  # fmt: skip
    found = converted("complete-journey", tmp_path)
    assert found["interactions"].rows() == [(900, 25, 1483228860, 2.0, 1.5, 8, 3)]
    assert found["items"].row(0, named=True)["text"] == "ice, grocery, national, 22 lb"
    assert found["users"].rows() == [(900, "65+", "35-49K", "Homeowner", None, "2", "0")]


@pytest.mark.parametrize("name", DATASETS)
def test_every_card_pins_its_source(name):
    card = DATASETS[name]
    for source in (card.source, *card.beside):
        assert "==" in source
        assert len(source.split("#sha256=")[1]) == 64
    assert min(card.events, card.users, card.items) > 0
