"""Files of the web and of object stores, from servers on loopback; data sets of `datasets`, from a stand-in."""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from recprofile.assets import Asset, resolve
from recprofile.builtin.source import SOURCES
from recprofile.cli.main import status_of
from recprofile.errors import RunError

RATINGS = "user,item\n" + "".join(f"u{n % 9},i{n * 7 % 11}\n" for n in range(200))
RECIPE = "recipe: 1\ndevice: cpu\ndata:\n  interactions: SOURCE\nstages:\n  - recommend: popular\nlist: {k: 3}\n"


class Answers(BaseHTTPRequestHandler):
    """A server of the bytes in `files`; also what an S3 server must know: ranges and the listing of a bucket."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes] = {}
    asked: list[tuple[str, int]] = []
    cut = 0

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        data = self.files.get(path)
        if data is None and "list-type" in query:
            return self.answer(200, self.listing(path).encode())
        if data is None:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        tag = f'"{hash(data)}"'
        if self.headers.get("If-None-Match") == tag:
            return self.answer(304, b"")
        headers = {"ETag": tag, "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
        found = re.match(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not found:
            return self.answer(200, data, headers)
        last = len(data) - 1
        low = int(found[1]) if found[1] else max(0, len(data) - int(found[2]))
        high = min(int(found[2]), last) if found[1] and found[2] else last
        return self.answer(206, data[low : high + 1], headers | {"Content-Range": f"bytes {low}-{high}/{len(data)}"})

    def listing(self, bucket: str) -> str:
        held = "".join(
            f"<Contents><Key>{name.removeprefix(bucket + '/')}</Key>"
            f"<LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>x</ETag><Size>{len(data)}</Size></Contents>"
            for name, data in sorted(self.files.items())
            if name.startswith(f"{bucket}/")
        )
        head = "<Name>shop</Name><Prefix></Prefix><KeyCount>2</KeyCount><IsTruncated>false</IsTruncated>"
        return f"<ListBucketResult>{head}{held}</ListBucketResult>"

    def answer(self, code: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.asked.append((self.path, code))
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: self.cut] if self.cut else data)
        self.close_connection = bool(self.cut)


@pytest.fixture
def web(tmp_path, monkeypatch):
    """The address of a server on loopback, and its handler."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECPROFILE_CACHE", str(tmp_path / "cache"))
    for name in ("RECPROFILE_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    handler = type("Own", (Answers,), {"files": {}, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()


@pytest.fixture
def store(web, monkeypatch):
    """The handler of a server that polars takes for S3. It keeps where a bucket is, so each test has its own."""
    named = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "hush-8841", "REGION": "us-east-1", "ALLOW_HTTP": "true"}
    for name, value in {**named, "ENDPOINT_URL": web[0]}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return web[1]


def found(uri: str, **options: Any) -> Asset:
    return resolve(uri, base=Path.cwd(), schemes=SOURCES, **options)


def refused(uri: str, **options: Any) -> str:
    with pytest.raises(RunError) as caught:
        found(uri, **options)
    return str(caught.value)


def nothing_is_kept() -> bool:
    return not [path for path in Path("cache").rglob("*") if path.is_file()]


def parquet(frame: pl.DataFrame) -> bytes:
    held = io.BytesIO()
    frame.write_parquet(held)
    return held.getvalue()


# --- the web ---


def test_a_file_of_the_web_is_data_as_a_file_here_is(web, capsys):
    web[1].files["/r.csv.gz"] = gzip.compress(RATINGS.encode())
    Path("r.csv").write_text(RATINGS)
    for name, path in (("web", f"{web[0]}/r.csv.gz?token=hush-8841"), ("here", "r.csv")):
        Path(f"{name}.yaml").write_text(RECIPE.replace("SOURCE", f'"{path}"'))
        assert status_of(["run", f"{name}.yaml", "-q"]) == 0, capsys.readouterr().err
    read = [json.loads(Path(f"runs/{name}/metrics.json").read_text()) for name in ("web", "here")]
    assert read[0] == read[1]


def test_what_did_not_change_is_not_sent_again(web):
    web[1].files["/r.csv"] = RATINGS.encode()
    first = found(f"{web[0]}/r.csv")
    again = found(f"{web[0]}/r.csv")
    assert (first.path, first.fingerprint) == (again.path, again.fingerprint)
    assert [code for _, code in web[1].asked] == [200, 304]
    web[1].files["/r.csv"] = RATINGS.encode() + b"x,y\n"
    assert found(f"{web[0]}/r.csv").fingerprint != first.fingerprint
    assert first.path.exists()  # whoever reads it is not disturbed


def test_without_a_network_the_newest_copy_is_given(web):
    web[1].files["/r.csv"] = RATINGS.encode()
    assert "was not fetched yet, and there is no network (offline)" in refused(f"{web[0]}/r.csv", offline=True)
    kept = found(f"{web[0]}/r.csv").path
    assert found(f"{web[0]}/r.csv", offline=True).path == kept
    assert len(web[1].asked) == 1


def test_what_the_web_does_not_give_is_told_without_secrets(web):
    said = refused(f"{web[0]}/none.csv?token=hush-8841")
    assert f"RP605 '{web[0]}/none.csv' cannot be had: the server answers 404 Not Found" in said
    assert "hush" not in said
    assert "refused" in refused("http://127.0.0.1:9/r.csv")
    assert "cannot be had" in refused("http://127.0.0.1:port/r.csv")
    assert nothing_is_kept()


def test_a_body_that_is_cut_off_is_not_kept(web):
    web[1].files["/r.csv"] = RATINGS.encode()
    web[1].cut = 100
    said = refused(f"{web[0]}/r.csv")
    assert re.search(rf"was cut off after 100 of {len(RATINGS):,} bytes, and is not kept", said), said
    assert nothing_is_kept()


def test_progress_is_told_in_bytes(web):
    web[1].files["/r.csv"] = RATINGS.encode()
    heard: list[tuple[str, int, int | None]] = []
    found(f"{web[0]}/r.csv", progress=lambda *said: heard.append(said))
    assert heard == [(f"{web[0]}/r.csv", len(RATINGS), len(RATINGS))]


# --- object stores ---


def test_objects_are_fetched_text_as_it_is_and_parquet_as_a_table(store):
    odd = 'user,item\n"a ""q"" é","b\nc"\n'
    store.files |= {"/shop-a/e.csv": odd.encode(), "/shop-a/e.parquet": parquet(pl.DataFrame({"user": [1, 2]}))}
    store.files["/shop-a/e.csv.gz"] = gzip.compress(odd.encode())
    assert found("s3://shop-a/e.csv").path.read_text() == odd
    assert found("s3://shop-a/e.csv.gz").path.read_text() == odd
    assert pl.read_parquet(found("s3://shop-a/e.parquet").path)["user"].to_list() == [1, 2]
    assert found("s3://shop-a/e.csv").fingerprint == found("s3://shop-a/e.csv", offline=True).fingerprint


def test_the_parquet_files_of_a_pattern_are_one_table(store):
    for n in (2, 1):
        store.files[f"/shop-b/e/{n}.parquet"] = parquet(pl.DataFrame({"user": [n]}))
    assert pl.read_parquet(found("s3://shop-b/e/*.parquet").path)["user"].to_list() == [1, 2]
    assert "is a pattern, which only Parquet and JSON Lines may be" in refused("s3://shop-b/e/*.csv")


def test_what_a_store_does_not_give_is_told(store):
    for name in ("none.csv", "none.parquet"):
        said = refused(f"s3://shop-c/{name}")
        assert f"RP605 's3://shop-c/{name}' cannot be had" in said
        assert "404" in said
        assert "hush" not in said
    assert "does not tell its format" in refused("s3://shop-c/events")
    assert "was not fetched yet, and there is no network" in refused("s3://shop-c/e.csv", offline=True)
    assert "was not fetched yet, and there is no network" in refused("hf://datasets/a/b/c.parquet", offline=True)
    assert nothing_is_kept()


# --- datasets:// ---


@pytest.fixture
def library(web, monkeypatch):
    """A stand-in for `datasets`, and what it was asked."""
    asked: list[tuple[Any, ...]] = []

    class Held:
        def to_parquet(self, path: Path) -> None:
            pl.DataFrame({"user": ["a"], "item": ["b"]}).write_parquet(path)

    def load_dataset(name, config, *, split, revision, download_config):
        asked.append((name, config, split, revision, download_config))
        if name == "acme/none":
            raise FileNotFoundError("Dataset 'acme/none' doesn't exist on the Hub")
        return Held()

    module = ModuleType("datasets")
    module.load_dataset, module.DownloadConfig = load_dataset, lambda local_files_only: local_files_only
    module.__spec__ = object()
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


def test_a_data_set_of_the_hub_is_one_table(library):
    kept = found("datasets://acme/shop?split=test&config=small&revision=v1").path
    assert pl.read_parquet(kept).rows() == [("a", "b")]
    found("datasets://acme/shop", offline=True)
    found("datasets://./folder")
    assert library == [
        ("acme/shop", "small", "test", "v1", False),
        ("acme/shop", None, "train", None, True),
        (str(Path.cwd() / "folder"), None, "train", None, False),
    ]


def test_what_the_library_does_not_give_is_told(library):
    said = refused("datasets://acme/none")
    assert "'datasets://acme/none' cannot be had" in said
    assert "doesn't exist on the Hub" in said
    assert "did you mean 'split'?" in refused("datasets://acme/shop?splt=test")
    assert "names no data set" in refused("datasets://")
    assert nothing_is_kept()


def test_without_the_library_what_to_install_is_said(web, monkeypatch):
    monkeypatch.setattr("recprofile.builtin.source.huggingface.find_spec", lambda _: None)
    assert "pip install datasets" in refused("datasets://acme/shop")
