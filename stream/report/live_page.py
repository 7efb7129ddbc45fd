"""The files of the page that shows a running engine: the reports' chart and style, and its own.

They hold no data: the page asks for it, with the key where one is needed.
"""

from __future__ import annotations

from .page import SCRIPTS, STYLES, asset, render


def live_html() -> bytes:
    """Return the page."""
    return render("live.html.j2", {"origin": ""})


def live_script() -> bytes:
    """Return the page's scripts as one file, in the order in which they run."""
    names = (*SCRIPTS, "event_stream.js", "live_tables.js", "try_session.js", "live.js")
    return "\n".join(asset(name) for name in names).encode()


def live_style() -> bytes:
    """Return the page's styles as one file."""
    return "\n".join(asset(name) for name in (*STYLES, "live.css")).encode()
