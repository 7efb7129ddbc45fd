from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from nextclick.connectors.decoding.log_format import LogFormat
from nextclick.connectors.files.growing.durable_log import DurableLog
from nextclick.connectors.files.growing.recorded_log import RecordedLog
from nextclick.connectors.files.log import LogSource
from nextclick.connectors.open import open_source
from nextclick.connectors.recorder import FullError, Recorded, RecordError
from nextclick.connectors.source import SourceError
from nextclick.connectors.submitted_clicks import SubmittedClick


def clicks(*items: str, **more: object) -> bytes:
    return json.dumps([{"session_id": "anna", "item_id": item, **more} for item in items]).encode()


def record(log: RecordedLog, *items: str, **more: object) -> Recorded:
    return log.record(log.form.read(clicks(*items, **more), now=5.0)).result(60)


def items(path: Path) -> list[object]:
    return [json.loads(line)["item_id"] for line in path.read_text().splitlines()]


def polled(log: RecordedLog, wait: float = 0.0) -> list[object]:
    found = log.poll(99, wait)
    assert found is not None
    return list(found.items)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "clicks.jsonl"


@pytest.fixture
def log(path: Path) -> Iterator[RecordedLog]:
    with closing(RecordedLog(path)) as opened:
        yield opened


def test_what_is_confirmed_is_in_the_log_and_is_read_in_its_order(
    path: Path, log: RecordedLog
) -> None:
    assert record(log, "a", "b", shelf={"row": [1, 2]}) == Recorded(2, 0)
    assert record(log, "c") == Recorded(1, 0)
    assert items(path) == ["a", "b", "c"]
    assert json.loads(path.read_text().splitlines()[0]) == {
        "session_id": "anna",
        "item_id": "a",
        "shelf": {"row": [1, 2]},
        "timestamp": 5.0,
    }
    assert polled(log) == ["a", "b", "c"]
    assert polled(log) == []


def test_a_reader_that_waits_is_woken_by_a_click(log: RecordedLog) -> None:
    threading.Timer(0.3, record, (log, "a")).start()
    assert polled(log, wait=60.0) == ["a"] or polled(log, wait=60.0) == ["a"]


def test_many_threads_record_at_once_and_nothing_is_lost_or_doubled(
    path: Path, log: RecordedLog
) -> None:
    def post(thread: int) -> None:
        for number in range(100):
            record(log, f"{thread}-{number}")

    threads = [threading.Thread(target=post, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = {f"{thread}-{number}" for thread in range(8) for number in range(100)}
    assert len(items(path)) == 800
    assert set(items(path)) == wanted
    for name in range(8):
        own = [item for item in items(path) if str(item).startswith(f"{name}-")]
        assert own == [f"{name}-{number}" for number in range(100)]


@pytest.mark.parametrize(
    ("end", "left", "note"),
    [
        (b'{"session_id": "anna", "item', ["a"], "was removed"),
        (b"x" * 200_000, ["a"], "was cut off after 200,000 bytes"),
        (b'{"session_id": "bert", "item_id": "b", "timestamp": 1}', ["a", "b"], "line break"),
        (b"", ["a"], ""),
    ],
)
def test_half_a_line_from_a_crash_is_mended_and_never_joined_with_the_next(
    path: Path, end: bytes, left: list[str], note: str
) -> None:
    with closing(RecordedLog(path)) as log:
        record(log, "a")
    with path.open("ab") as file:
        file.write(end)
    with closing(RecordedLog(path)) as log:
        assert items(path) == left
        record(log, "next")
        assert polled(log) == [*left, "next"]
        assert note in "".join(log.warnings)
    assert items(path) == [*left, "next"]


def test_a_first_line_may_be_cut_off_too(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"sess')
    with closing(RecordedLog(path)) as log:
        record(log, "a")
        assert polled(log) == ["a"]


def test_only_one_process_appends(path: Path, log: RecordedLog) -> None:
    with pytest.raises(SourceError, match="another process takes clicks into"):
        RecordedLog(path)
    record(log, "a")
    # To read it is allowed.
    reading = LogSource(path).poll(9)
    assert reading is not None
    assert reading.items == ["a"]


def test_a_click_with_a_known_event_is_not_written_again_also_after_a_restart(path: Path) -> None:
    with closing(RecordedLog(path)) as log:
        assert record(log, "a", event_id="e1") == Recorded(1, 0)
        assert record(log, "a", event_id="e1") == Recorded(0, 1)
        assert record(log, "b", "b", event_id=7) == Recorded(1, 1)
    with closing(RecordedLog(path)) as log:
        assert record(log, "a", event_id="e1") == Recorded(0, 1)
        assert record(log, "c", event_id="e2") == Recorded(1, 0)
        # A text and a number are two.
        assert record(log, "d", event_id="7") == Recorded(1, 0)
    assert items(path) == ["a", "b", "c", "d"]


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Limit the size of files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_on_a_full_disk_nothing_is_confirmed_and_nothing_is_left_of_it(
    path: Path, log: RecordedLog
) -> None:
    record(log, "a")
    size = path.stat().st_size
    with file_limit(size + 40):
        with pytest.raises(FullError, match="none of these clicks was recorded"):
            record(log, "b", event_id="e")
        assert path.stat().st_size == size
    assert record(log, "c", event_id="e") == Recorded(1, 0)
    assert polled(log) == ["a", "c"]


def test_a_log_that_is_renamed_is_begun_anew(path: Path, log: RecordedLog) -> None:
    record(log, "a")
    assert polled(log) == ["a"]
    record(log, "b")
    path.rename(path.with_suffix(".jsonl.1"))
    record(log, "c")
    assert items(path.with_suffix(".jsonl.1")) == ["a", "b"]
    assert items(path) == ["c"]
    found: list[object] = []
    deadline = time.monotonic() + 60
    while len(found) < 2:
        assert time.monotonic() < deadline
        found += polled(log, 0.05)
    assert found == ["b", "c"]


def test_somebody_elses_half_line_is_not_joined_with_a_click(path: Path, log: RecordedLog) -> None:
    record(log, "a")
    with path.open("a") as file:
        file.write('{"half')
    record(log, "b")
    found = log.poll(9)
    assert found is not None
    assert found.items == ["a", "b"]
    assert [each.reason for each in found.rejected] == ["bad_json"]


def test_closed_it_records_nothing(path: Path) -> None:
    log = RecordedLog(path)
    read = log.form.read(clicks("a"), now=1.0)
    log.close()
    with pytest.raises(RecordError, match="is closed"):
        log.record(read).result(60)


def test_too_much_at_once_is_turned_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushing, go_on = threading.Event(), threading.Event()
    fsync = os.fsync

    def slow(descriptor: int) -> None:
        flushing.set()
        assert go_on.wait(60)
        fsync(descriptor)

    path.parent.mkdir()
    with closing(DurableLog(path)) as log:
        monkeypatch.setattr(os, "fsync", slow)
        first = log.append([b"first"])
        assert flushing.wait(60)
        waiting = [log.append([b"x" * (15 << 20)]) for _ in range(3)]
        with pytest.raises(RecordError, match="too many clicks wait"):
            waiting[2].result(60)
        go_on.set()
        for future in (first, *waiting[:2]):
            assert future.result(60).written == 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("http:", "names no log"),
        ("http:clicks.csv", "name it clicks.jsonl"),
        ("http:clicks.jsonl.gz", "name it clicks.jsonl"),
        ("http:folder", "is a folder"),
        ("http:other.jsonl", "holds something else"),
    ],
)
def test_what_is_no_log_for_clicks_is_refused_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "other.jsonl").write_text("session_id,item_id,timestamp\nanna,hat,1")
    with pytest.raises(SourceError, match=message):
        open_source(spec)
    assert (tmp_path / "other.jsonl").read_text().endswith("hat,1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "other.jsonl"]


def test_the_fields_have_the_names_and_the_unit_of_the_source(path: Path) -> None:
    form = LogFormat(session="visitor", item="sku", time="at", unit="ms")
    with closing(RecordedLog(path, form)) as log:
        assert not isinstance(log.form.read(b'{"visitor": 1, "sku": 2}', now=5.0), SubmittedClick)
        log.record(log.form.read(b'{"visitor": 1, "sku": 2}', now=5.0)).result(60)
        found = log.poll(9)
        assert found is not None
        assert (found.sessions, found.items, found.times.tolist()) == ([1], [2], [5.0])
    assert json.loads(path.read_text()) == {"visitor": 1, "sku": 2, "at": 5000}


def test_killed_while_it_writes_all_that_was_confirmed_is_there(path: Path) -> None:
    program = (
        "import sys\n"
        "from nextclick.connectors.files.growing.durable_log import DurableLog\n"
        "from pathlib import Path\n"
        "log = DurableLog(Path(sys.argv[1]))\n"
        "for number in range(10**9):\n"
        "    log.append([b'{\"item_id\":%d}' % number]).result(); print(number, flush=True)"
    )
    path.parent.mkdir()
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        confirmed = [int(process.stdout.readline()) for _ in range(50)]
        process.kill()
        confirmed += [int(line) for line in process.stdout if line.endswith("\n")]
        process.wait()
        process.stdout.close()
        DurableLog(path).close()
        assert set(confirmed) <= set(items(path))
        path.unlink()
