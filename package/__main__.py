"""The command line, as ``python -m nextclick``."""

from __future__ import annotations

from nextclick.stream.__main__ import main

if __name__ == "__main__":
    main()
