"""A day of a shop, sped up: what is bounded stays bounded, however long the stream.

Run it with ``python -m benchmarks.soak.day --clicks 50000000``.

An engine of its own process goes through the clicks of a simulated day as fast as it can. The items
on sale are replaced four times, and visitors come and go; catalogue, sessions, memory and windows
have bounds, which are reached within a twentieth of the clicks. What it holds then, after a tenth
of the clicks, it may exceed by 5 % until the end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from statistics import median

from tests.brokers import free_port

from .watching import Verdict, judged, scrape, start, table, wait_for

DAY = 86_400.0
CLICKS_A_VISIT, SECONDS_A_VISIT = 5.0, 240.0
BOUNDS = ["--max-sessions", "5000", "--max-items", "4000", "--memory", "20000"]


def shop(clicks: int) -> str:
    """Return a shop in which this number of clicks is a day."""
    visitors = round(clicks / DAY / CLICKS_A_VISIT * SECONDS_A_VISIT)
    return f"sim:clicks={clicks},items=5000,life=0.25,sessions={max(visitors, 1)}"


def watch(clicks: int, folder: str, options: list[str]) -> list[dict[str, float]]:
    """Run the day, and return what the engine was like along it.

    Raises
    ------
    RuntimeError
        It did not end well.

    """
    port, samples = free_port(), []
    arguments = [shop(clicks), *BOUNDS, "--snapshots", folder, "--metrics-port", str(port)]
    process = start(*arguments, "--device", "cpu", *options)
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz", process)
        while process.poll() is None:
            try:
                values = scrape(port)
            except OSError:  # It has just ended.
                break
            samples.append(
                {
                    "clicks": values["nextclick_stream_clicks"],
                    "memory": values["process_resident_memory_bytes"] / 1e6,
                    "items": values["nextclick_catalogue_items"],
                    "sessions": values["nextclick_live_sessions"],
                    "steps": values["nextclick_phase_seconds_count_model"],
                    "model": values["nextclick_phase_seconds_sum_model"],
                }
            )
            time.sleep(max(0.2, min(5.0, clicks / 1e6)))
        if process.wait(600):
            raise RuntimeError(f"the engine has ended with {process.returncode}")
    finally:
        process.kill()
    return samples


def main() -> int:
    """Run it and print what was seen; return 1 where something has grown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clicks", type=int, default=50_000_000)
    parser.add_argument("options", nargs="*", help="more options of nextclick run, after --")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = watch(given.clicks, folder, given.options)
    rows, most = [], []
    for part in range(10):
        low, high = given.clicks * part / 10, given.clicks * (part + 1) / 10
        inside = [one for one in samples if low <= one["clicks"] <= high]
        if not inside:
            continue
        spent = inside[-1]["model"] - inside[0]["model"]
        steps = inside[-1]["steps"] - inside[0]["steps"]
        most.append(max(one["memory"] for one in inside))
        rows.append(
            [
                f"{inside[-1]['clicks']:,.0f}",
                f"{most[-1]:,.0f}",
                f"{median(one['items'] for one in inside):,.0f}",
                f"{median(one['sessions'] for one in inside):,.0f}",
                f"{1000 * spent / steps:.2f}" if steps else "",
            ]
        )
    print(table(["clicks", "MB", "items", "sessions", "step, ms"], rows))
    found = f"{most[0]:,.0f} → {max(most):,.0f}"
    verdict = Verdict("memory, MB", found, "+ 5 %", max(most) <= 1.05 * most[0])
    print("", judged([verdict]), sep="\n")
    return 0 if verdict.kept else 1


if __name__ == "__main__":
    sys.exit(main())
