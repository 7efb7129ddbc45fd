from __future__ import annotations

import base64
import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nextclick.connectors.files.storage import remote
from nextclick.connectors.files.storage.remote import is_remote, remote_files, without_secrets
from nextclick.connectors.open import open_source
from nextclick.connectors.source import Source, SourceError
from tests.connectors.files.logs import HEADER
from tests.connectors.files.storage.file_servers import Bucket, FileServer, serving

ROWS = 30_000
EXPECTED = [f"i{n}" for n in range(ROWS)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a log in every form, in the bucket ``shop``."""
    found = tmp_path / "shop" / "logs"
    found.mkdir(parents=True)
    text = HEADER + b"".join(b"s%d,i%d,%d\n" % (n // 5, n, n) for n in range(ROWS))
    (found / "a.csv").write_bytes(text)
    (found / "a.csv.gz").write_bytes(gzip.compress(text))
    columns = {
        "session_id": [f"s{n // 5}" for n in range(ROWS)],
        "item_id": EXPECTED,
        "timestamp": list(range(ROWS)),
    }
    pq.write_table(pa.table(columns), found / "a.parquet", row_group_size=5000)
    shutil.make_archive(str(found / "a"), "zip", found, "a.csv")
    return tmp_path


@pytest.fixture
def bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FileServer, str]]:
    """Return a server of S3, and the query that makes addresses be those of it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with serving(folder, handler=Bucket) as (server, address):
        host = address.removeprefix("http://")
        yield server, f"?scheme=http&region=eu-west-1&endpoint_override={host}"


def items(source: Source, limit: int = 5000) -> list[object]:
    found: list[object] = []
    while (clicks := source.poll(limit)) is not None:
        found += clicks.items
    source.close()
    return found


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.zip"])
def test_logs_on_a_web_server_are_read_and_resumed(folder: Path, name: str, ranges: bool) -> None:
    with serving(folder, ranges) as (_, address):
        url = f"{address}/shop/logs/{name}?signature=secret"
        source = open_source(url)
        first = source.poll(12_345)
        source.close()
        assert first is not None
        assert first.items == EXPECTED[:12_345]
        assert "secret" not in json.dumps(first.position)
        resumed = open_source(url)
        resumed.seek(json.loads(json.dumps(first.position)))
        assert items(resumed) == EXPECTED[12_345:]


def test_logs_on_a_web_server_and_on_the_disk_are_one_log(folder: Path) -> None:
    more = folder / "b.csv"
    more.write_bytes(HEADER + b"z,last,99999\n")
    with serving(folder) as (_, address):
        assert items(open_source([more, f"{address}/shop/logs/a.csv"])) == [*EXPECTED, "last"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    folder: Path, ranges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "WAITS", (0.0, 0.0))
    with serving(folder, ranges) as (server, address):
        server.cut_after = [300_000, 100_000, 50_000]
        assert items(open_source(f"{address}/shop/logs/a.csv")) == EXPECTED
        assert server.cut_after == []
        assert any("bytes=" in asked for asked in server.asked)


def test_a_connection_that_breaks_again_and_again_is_no_end_of_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "WAITS", (0.0,))
    with serving(folder) as (server, address):
        server.cut_after = [0] * 50
        with pytest.raises(SourceError, match=r"a\.csv cannot be read further: .*--snapshots"):
            items(open_source(f"{address}/shop/logs/a.csv"))


def test_a_password_is_read_from_netrc(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(folder) as (server, address):
        server.password = "Basic " + base64.b64encode(b"anna:secret").decode()
        with pytest.raises(SourceError, match=r"the server answers 401.*netrc"):
            open_source(f"{address}/shop/logs/a.csv")
        netrc.write_text("machine 127.0.0.1 login anna password secret\n")
        netrc.chmod(0o600)
        assert items(open_source(f"{address}/shop/logs/a.csv")) == EXPECTED


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.zip"])
def test_logs_in_s3_are_read_and_resumed(bucket: tuple[FileServer, str], name: str) -> None:
    url = f"s3://shop/logs/{name}{bucket[1]}"
    source = open_source(url)
    first = source.poll(12_345)
    source.close()
    assert first is not None
    resumed = open_source(url)
    resumed.seek(json.loads(json.dumps(first.position)))
    assert first.items + items(resumed) == EXPECTED


@pytest.mark.parametrize("path", ["shop/days", "shop/days/", "shop/days/*.csv", "shop/**/2*.csv"])
def test_folders_and_patterns_in_s3_are_one_log(
    folder: Path, bucket: tuple[FileServer, str], path: str
) -> None:
    for day in (2, 10):
        place = folder / "shop" / "days" / f"2019-{day}.csv"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(HEADER + b"a,x%d,%d\na,y%d,%d\n" % (day, day, day, day))
    (folder / "shop" / "days" / "_SUCCESS").write_bytes(b"")
    found = items(open_source(f"s3://{path}{bucket[1]}"))
    assert found == ["x2", "y2", "x10", "y10"]


def test_what_cannot_be_reached_is_a_sentence(folder: Path, bucket: tuple[FileServer, str]) -> None:
    with serving(folder) as (_, gone):
        pass
    with serving(folder) as (_, address):
        wrong: list[tuple[str, str]] = [
            (f"{address}/none.csv", r"none\.csv: the server has no such file"),
            (f"{address}/shop/logs/", "a web server lists none, name each log"),
            (address.replace("http://", "http://anna:secret@") + "/a.csv", "must not hold cred"),
            (f"s3://shop/none.csv{bucket[1]}", "there is no such file"),
            (f"s3://shop/logs/*.json{bucket[1]}", r"no file matches s3://shop/logs/\*\.json"),
            (f"s3://key:secret@shop/a.csv{bucket[1]}", "must not hold credentials"),
            (f"{gone}/a.csv", "cannot be reached"),
        ]
        for url, message in wrong:
            with pytest.raises(SourceError, match=message) as raised:
                open_source(url)
            assert "secret" not in str(raised.value)


def test_an_object_store_that_is_away_tells_where_credentials_come_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Away:
        @staticmethod
        def from_uri(uri: str) -> Any:
            raise OSError("When getting information for key: AWS Error ACCESS_DENIED")

    monkeypatch.setattr("pyarrow.fs.FileSystem", Away)
    with pytest.raises(SourceError, match=r"ACCESS_DENIED.*AWS_ACCESS_KEY_ID"):
        remote_files("s3://shop/a.csv")
    with pytest.raises(SourceError, match=r"GOOGLE_APPLICATION_CREDENTIALS"):
        remote_files("gs://shop/a.csv")


def test_addresses_are_told_from_other_names() -> None:
    assert is_remote("HTTPS://shop.example/a.csv")
    assert not is_remote("http:a.csv")
    assert not is_remote("sim:clicks=5")
    assert without_secrets("logs/a?.csv") == "logs/a?.csv"
