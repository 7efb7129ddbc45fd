"""Where the command line begins under torchrun: at the first process, and at the others."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from . import saying
from .place import COMMANDS, Place
from .saying import complain

END_SECONDS = 30.0
"""How long a first process that ends before it has begun waits for the others, to tell them."""

SIGNAL_SECONDS = 5.0
"""How long another process leaves it to torchrun to end it, after the first one has failed."""


def prepare_libraries(arguments: Sequence[str]) -> None:
    """Set what libraries read from the environment, before they are loaded."""
    # Torch warns of connections that it will try again; what is lost is told in words.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # torchrun's default. The figures of a comparison are those of one process to the last digit,
    # and sums of matrices depend on the number of threads.
    if arguments[:1] == ["compare"] and os.environ.get("OMP_NUM_THREADS") == "1":
        del os.environ["OMP_NUM_THREADS"]


def lead(place: Place, arguments: Sequence[str], run: Callable[[], None]) -> None:
    """Carry out a command as the first process; tell the others if it ends before it begins."""
    prepare_libraries(arguments)
    if place.agent:
        saying.ask(partial(_is_news, place))
    code: object = 1
    try:
        run()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        if arguments and arguments[0] in COMMANDS:
            _end_the_others(place, code != 0)
    _exit(code)


def _exit(code: Any) -> NoReturn:
    """End the first process with a code."""
    shared = sys.modules.get(f"{__package__}.member")
    if shared is not None and shared.HAS_JOINED and isinstance(code, int):
        _leave(code)
    sys.exit(code)


def _leave(code: int) -> NoReturn:
    """End this process at once: gloo's threads, if they still run, abort one whose Python ends."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _is_news(place: Place, sentence: str) -> bool:
    from .meeting import is_news

    return is_news(place, sentence)


def _end_the_others(place: Place, failed: bool) -> None:
    """Report to the others, which wait for this process, that nothing is to be done."""
    from . import meeting, member

    if member.HAS_JOINED:
        return
    with suppress(RuntimeError):
        store = meeting.connect(place)
        meeting.call_together(place, store, {"ended": failed}, END_SECONDS)


def follow(place: Place, arguments: Sequence[str]) -> NoReturn:
    """Do the part of another process: only `COMMANDS` need one. Ends the process.

    Parameters
    ----------
    place
        Its place.
    arguments
        What follows the program's name.

    """
    prepare_libraries(arguments)
    if not arguments or arguments[0] not in COMMANDS:
        os._exit(0)
    # Before it joins: then the others wait for it, and watch it.
    from .meeting import MeetingError
    from .member import LOST_CODE, first_line, join_as_other
    from .work import serve_first

    try:
        member = join_as_other(place)
    except MeetingError as error:
        complain(f"{place.name}: {error}")
        os._exit(LOST_CODE)
    if "ended" in member.task:
        _end_after_first(member.task["ended"])
    try:
        member.connect()
        serve_first(member)
        failed = member.first_failed()
    except Exception as error:
        complain(f"{place.name}: {type(error).__name__}: {first_line(error)}")
        failed = True
        member.leave()
        os._exit(LOST_CODE)
    member.leave()
    _end_after_first(failed)


def _end_after_first(failed: bool) -> NoReturn:
    """End as the first process has: on its machine torchrun ends this one, elsewhere it does not.

    torchrun shows every process that has failed; one that it ends itself has not.
    """
    if failed:
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
        time.sleep(SIGNAL_SECONDS)
    _leave(int(failed))
