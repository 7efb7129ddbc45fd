"""Simulated visitors of the shop: their clicks are sent to the engine, at a steady rate.

    python visitors.py http://localhost:8080 --rate 20

They look at the products as the visitors of nextclick's simulated shop do (``sim:``), so there is
something to be learned.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from nextclick.connectors import open_source

ITEMS = Path(__file__).parent / "items.jsonl"

VISITS = "sim:items={},life=0,sessions=50,seed={}"


def clicks(seed: int) -> Iterator[dict[str, str]]:
    """Yield the clicks of visitors, for ever; of each seed other ones."""
    products = [json.loads(line)["item_id"] for line in ITEMS.read_text().splitlines()]
    shop = open_source(VISITS.format(len(products), seed))
    while (some := shop.poll(64)) is not None:
        for session, item in zip(some.sessions, some.items, strict=True):
            product = products[int(item) % len(products)]
            yield {"session_id": f"visitor-{seed}-{session}", "item_id": product}


def send(engine: str, click: dict[str, str]) -> None:
    """Send a click; wait while the engine is away."""
    body = json.dumps(click).encode()
    request = Request(f"{engine}/v1/clicks", body, {"Content-Type": "application/json"})
    while True:
        try:
            with urlopen(request, timeout=10) as response:
                response.read()
                return
        except HTTPError as error:
            if error.code < 500:
                raise SystemExit(f"{engine} refuses a click: {error.read().decode()}") from error
        except OSError:
            pass
        time.sleep(1)


def main() -> None:
    """Send clicks until the process is ended."""
    parser = argparse.ArgumentParser(description="Send the clicks of simulated visitors.")
    parser.add_argument("engine", help="where the engine serves, such as http://localhost:8080")
    parser.add_argument("--rate", type=float, default=20.0, help="clicks a second")
    parser.add_argument("--clicks", type=int, help="end after this many")
    given = parser.parse_args()
    due = time.monotonic()
    for sent, click in enumerate(clicks(seed=int(time.time()))):
        if sent == given.clicks:
            return
        send(given.engine, click)
        # After a wait it goes on at the same rate, and catches nothing up.
        due = max(due + 1 / given.rate, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
