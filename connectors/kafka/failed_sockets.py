"""Sockets that could not be connected, closed at once.

kafka-python 3.0 leaves them to the garbage collector, which hardly runs while nothing comes: where
brokers are away for a day, there would be no file left to be opened.
"""

from __future__ import annotations

from typing import Any

try:
    from kafka.net.inet import KafkaNetSocket
except ImportError:  # Another version of kafka-python.
    KafkaNetSocket = None


def close_failed_sockets() -> None:
    """Have kafka-python close a socket that it could not connect; nothing where it is done."""
    connect: Any = getattr(KafkaNetSocket, "sock_connect", None)
    if connect is None or hasattr(connect, "closes_failed"):
        return

    async def sock_connect(self: Any, net: Any, sock: Any, *more: Any, **named: Any) -> Any:
        try:
            return await connect(self, net, sock, *more, **named)
        except BaseException:
            sock.close()
            raise

    sock_connect.closes_failed = True  # type: ignore[attr-defined]
    KafkaNetSocket.sock_connect = sock_connect
