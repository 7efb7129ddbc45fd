"""The command line, called as a shell would."""

from __future__ import annotations

import sys
from pathlib import Path

from nextclick.stream.cli.app import main

SMALL = ["--model", "hidden=8", "--model", "n_negatives=16", "--device", "cpu"]


def call(*arguments: str | Path) -> int:
    """Call the command line as a shell would, and give its exit code."""
    arguments_before = sys.argv
    sys.argv = ["nextclick", *map(str, arguments)]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = arguments_before
    return 0
