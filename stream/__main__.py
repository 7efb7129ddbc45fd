"""Where the command line starts, before anything that takes long to import."""

from __future__ import annotations

import sys

from nextclick import __version__

from . import signals
from .cli import log


def main() -> None:
    """Run the command line; SIGTERM and Ctrl-C count from its first moment on."""
    signals.install()
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
