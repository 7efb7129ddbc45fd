"""Next-click recommendation that learns online from a click stream.

What there is to import lies in three packages: `nextclick.connectors` (clicks come in, records go
out), `nextclick.models` (clicks in, ranks and recommendations out) and `nextclick.stream` (the
loop, evaluation, the command line). This module itself imports none of them.
"""

from __future__ import annotations

__version__ = "0.1.0"
