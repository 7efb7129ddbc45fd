"""Where the command line starts, before anything that takes long to import."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it with exit code 130 from its first moment on."""
    try:
        from .cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
