"""The exit codes of the commands, besides 0 and those of signals, 128 and the signal's number."""

from __future__ import annotations

MISTAKE = 2
"""What was asked for cannot be done; the message names the place and the remedy."""

NO_CLICKS = 3
"""No usable click was read."""
