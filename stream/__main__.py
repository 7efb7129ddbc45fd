"""Where the command line starts, before anything that takes long to import."""

from __future__ import annotations

import sys

from nextclick import __version__

from . import signals
from .cli import log
from .workers import entry, saying
from .workers.place import launched_place


def main() -> None:
    """Run the command line; SIGTERM and Ctrl-C count from its first moment on."""
    signals.install()
    place = launched_place()
    if place is None:
        start()
        return
    saying.choose(log.complain)
    if place.is_first:
        entry.lead(place, sys.argv[1:], start)
    else:
        log.prepare(sys.argv[1:])
        entry.follow(place, sys.argv[1:])


def start() -> None:
    """Run the command that the arguments name."""
    if sys.argv[1:] == ["--version"]:  # Nobody waits seconds for libraries to hear a number.
        print(f"nextclick {__version__}")
        return
    try:
        log.begin(sys.argv[1:])
        from .cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
