"""A link between two network namespaces: slow, lossy, and cut on demand.

What the kernel's netem does, for kernels without it: every packet passes through this process,
which keeps it for a while, or loses it. ``python -m tests.stream.workers.link DEVICE DEVICE`` makes
a device for each end, says so by a line, and reads ``cut`` and ``mend`` from its standard input.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

DELAY_SECONDS, BYTES_A_SECOND, LOSS = 0.010, 125e6, 0.01
"""10 ms one way, 1 Gbit/s, 1 %."""

SET_DEVICE = 0x400454CA
PACKETS_ALONE = 0x0001 | 0x1000
"""A device that has IP packets, with nothing before them."""

LARGEST_PACKET = 65_536


def device(name: str) -> int:
    """Make a network device; return what its packets are read from and written to.

    Raises
    ------
    OSError
        There are no such devices here, or not for this user.

    """
    opened = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(opened, SET_DEVICE, struct.pack("16sH22x", name.encode(), PACKETS_ALONE))
    return opened


class Link:
    """Carries packets between two ends.

    Parameters
    ----------
    ends
        What packets are read from and written to.

    """

    def __init__(self, ends: tuple[int, int]) -> None:
        self._other = {ends[0]: ends[1], ends[1]: ends[0]}
        self._free_at = dict.fromkeys(ends, 0.0)
        self._waiting: list[tuple[float, int, int, bytes]] = []
        self._count = 0
        self._random = random.Random(0)
        self.is_cut = False

    def carry(self) -> None:
        """Carry packets for ever, until standard input ends."""
        while True:
            wait = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else 1.0
            for ready in select.select([*self._other, sys.stdin], [], [], wait)[0]:
                if isinstance(ready, int):
                    self._take(ready)
                    continue
                said = sys.stdin.readline()
                if not said:
                    return
                self.is_cut = said.strip() == "cut"
            self._deliver()

    def _take(self, end: int) -> None:
        try:
            packet = os.read(end, LARGEST_PACKET)
        except OSError:
            return
        if self.is_cut or self._random.random() < LOSS:
            return
        start = max(time.monotonic(), self._free_at[end])
        self._free_at[end] = start + len(packet) / BYTES_A_SECOND
        self._count += 1
        due = self._free_at[end] + DELAY_SECONDS
        heapq.heappush(self._waiting, (due, self._count, self._other[end], packet))

    def _deliver(self) -> None:
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, _, end, packet = heapq.heappop(self._waiting)
            if self.is_cut:
                continue
            try:
                os.write(end, packet)
            except OSError:
                continue  # The device is down, or its queue is full: the packet is lost.


def main() -> None:
    """Make the ends, and carry packets between them."""
    first, second = map(device, sys.argv[1:3])
    print("ready", flush=True)
    Link((first, second)).carry()


if __name__ == "__main__":
    main()
