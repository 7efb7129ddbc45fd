"""Where the command line starts, before anything that takes long to import."""

from __future__ import annotations

import sys

from . import signals


def main() -> None:
    """Run the command line; SIGTERM and Ctrl-C count from its first moment on."""
    signals.install()
    try:
        from .cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
