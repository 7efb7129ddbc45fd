"""How fast a topic is read: ``python -m benchmarks.speed.kafka_source [ADDRESS]`` prints a table.

Without an address it starts a broker as the tests do. Clicks are published in batches of each
codec over 1, 4 and 16 partitions, then read by polls of 64: fetched, decoded, merged and given.
"""

from __future__ import annotations

import sys
import time

from kafka import KafkaProducer

from nextclick.connectors import KafkaSource, SimulatedShop, parse_address
from tests.brokers import make_topic
from tests.suite_broker import running_broker

CLICKS = 300_000
RUNS: list[tuple[int, str | None]] = [(1, None), (4, None), (16, None), (4, "lz4"), (4, "zstd")]


def publish(address: str, topic: str, partitions: int, codec: str | None) -> None:
    """Publish simulated clicks as `replay` does."""
    make_topic(address, topic, partitions)
    producer = KafkaProducer(
        bootstrap_servers=address, compression_type=codec, linger_ms=50, batch_size=1 << 17
    )
    shop, sequence = SimulatedShop.from_spec(f"sim:clicks={CLICKS},seed=1"), 0
    while (clicks := shop.poll(1000)) is not None:
        columns = zip(clicks.sessions, clicks.items, clicks.times.tolist(), strict=True)
        for session, item, moment in columns:
            key = str(session)
            value = f'{{"session_id":"{key}","item_id":"{item}","timestamp":{moment!r}}}'
            producer.send(
                topic,
                key=key.encode(),
                value=value.encode(),
                headers=[("sequence", sequence.to_bytes(8, "big"))],
                timestamp_ms=int(moment * 1000),
            )
            sequence += 1
    producer.flush()
    producer.close()


def read(address: str, topic: str, limit: int) -> tuple[int, float]:
    """Read the topic to its end; return the clicks, and the seconds from the first poll on."""
    source = KafkaSource(parse_address(f"kafka://{address}/{topic}"), until_end=True)
    clicks, start = 0, time.perf_counter()
    while (polled := source.poll(limit, 0.1)) is not None:
        clicks += len(polled)
    seconds = time.perf_counter() - start
    source.close()
    return clicks, seconds


def main() -> None:
    """Print the table."""
    with running_broker(sys.argv[1] if len(sys.argv) > 1 else None) as broker:
        print("| partitions | codec | clicks | seconds | clicks/s |")
        print("| ---: | --- | ---: | ---: | ---: |")
        for number, (partitions, codec) in enumerate(RUNS):
            topic = f"speed-{number}-{time.time_ns()}"
            publish(broker.address, topic, partitions, codec)
            clicks, seconds = read(broker.address, topic, 64)
            speed = clicks / seconds
            print(f"| {partitions} | {codec} | {clicks:,} | {seconds:.2f} | {speed:,.0f} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
