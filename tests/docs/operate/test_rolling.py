"""A new version without a gap: a replica answers while the engine is replaced."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from tests.brokers import free_port
from tests.stream.serving.asking import Client, until
from tests.stream.serving.posting import COMMAND, Posting


def test_no_request_to_a_replica_fails_while_the_engine_is_replaced(tmp_path: Path) -> None:
    log, snapshots = f"http:{tmp_path / 'clicks.jsonl'}", tmp_path / "snapshots"
    options = ["--snapshots", str(snapshots), "--snapshot-every", "1s", "--batch", "8"]
    engine = Posting(log, *options)
    shop = engine.client()
    for number in range(16):
        shop.json("/v1/clicks", {"session_id": number // 4, "item_id": f"item {number % 4}"})
    until(lambda: shop.json("/v1/stats")["learned"] == 16)
    until(lambda: any(path.name.startswith("clicks-000000000016") for path in snapshots.iterdir()))
    port = free_port()
    replica = subprocess.Popen(
        [*COMMAND[:-1], "serve", "--snapshots", str(snapshots), "--port", str(port)],
        stderr=subprocess.DEVNULL,
    )
    failed: list[str] = []
    answered = [0]
    stop = threading.Event()

    def ask() -> None:
        visitor = Client(f"http://127.0.0.1:{port}")
        while not stop.is_set():
            status, _ = visitor.ask("GET", "/v1/recommend?items=item%201")[:2]
            answered[0] += 1
            if status != 200:
                failed.append(str(status))
        visitor.close()

    asking = threading.Thread(target=ask)
    try:
        watcher = Client(f"http://127.0.0.1:{port}")
        until(lambda: _ready(port))
        asking.start()
        assert engine.end() == 0
        before = answered[0]
        # The new version, on the same folder, with the same command.
        engine = Posting(log, *options)
        assert answered[0] > before
        shop = engine.client()
        for number in range(16):
            shop.json("/v1/clicks", {"session_id": f"new {number // 4}", "item_id": "item 2"})
        until(lambda: watcher.json("/v1/stats")["clicks"] == 32)
        watcher.close()
    finally:
        stop.set()
        if asking.is_alive():
            asking.join()
        replica.terminate()
        replica.wait()
        engine.end()
    assert failed == []


def _ready(port: int) -> bool:
    try:
        client = Client(f"http://127.0.0.1:{port}")
        ready = client.ask("GET", "/readyz")[0] == 200
        client.close()
    except OSError:
        return False
    return ready
