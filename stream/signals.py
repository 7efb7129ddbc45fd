"""What SIGTERM and Ctrl-C do: end what is under way in good order, or the process at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPS = (signal.SIGINT, signal.SIGTERM)


def exit_at_once(number: int, frame: FrameType | None) -> None:
    """End the process, with 128 and the signal's number as exit code.

    Nothing is unwound, so this neither waits nor fails, wherever the main thread is: in an import,
    in the compiler, in a library's callback. Process 1 of a container ends as well, for which the
    kernel ignores a signal that has no handler.
    """
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h")  # A live line hides the cursor.
        sys.stderr.flush()
    os._exit(128 + number)


def install() -> None:
    """Make SIGTERM and Ctrl-C end the process, until a command installs its own handler."""
    for number in STOPS:
        signal.signal(number, exit_at_once)


def pass_over() -> None:
    """Make SIGTERM and Ctrl-C do no more than wake who listens for signals by a descriptor.

    Outside of the main thread this does nothing.
    """
    try:
        for number in STOPS:
            signal.signal(number, lambda number, frame: None)
            signal.siginterrupt(number, False)
    except ValueError:
        return


@contextmanager
def on_stop(stop: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `stop` on the first SIGTERM or Ctrl-C; a second one does what it did before.

    Outside of the main thread this does nothing: nobody sends signals there.
    """
    before = {number: signal.getsignal(number) for number in STOPS}

    def restore() -> None:
        for number, handler in before.items():
            # None: a handler that was not set from Python, and cannot be set again from there.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        stop(signal.Signals(number))

    try:
        for number in STOPS:
            signal.signal(number, handle)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        restore()
