"""Results drawn with matplotlib, which is installed with an extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .comparison_page import comparison_curves
from .page import title
from .run_page import run_curves
from .text_tables import chosen_figures


def plot_comparison(
    result: Mapping[str, Any], figure: str | None = None, ax: Any = None, **style: Any
) -> Any:
    """Draw one figure of every model along the stream; see `ComparisonResult.plot`."""
    names = list(result["models"])
    (figure,) = chosen_figures(result, [figure or f"recall@{max(result['k'])}"])
    at, curves = result["figures"].index(figure), comparison_curves(result)
    lines = curves.values[at * len(names) : (at + 1) * len(names)]
    return _draw(names, curves.clicks, lines, title(figure), ax, style)


def plot_run(result: Mapping[str, Any], ax: Any = None, **style: Any) -> Any:
    """Draw the figures of a run along the stream; see `RunResult.plot`."""
    names, curves = run_curves(result)
    return _draw(names, curves.clicks, curves.values, "", ax, style)


def _draw(
    names: Sequence[str], clicks: Sequence[int], lines: Any, label: str, ax: Any, style: Any
) -> Any:
    if ax is None:
        ax = _new_axes()
    for name, values in zip(names, lines, strict=True):
        # A label that begins with _ would be left out of the legend.
        ax.plot(clicks, values, label=f"\u200b{name}" if name[:1] == "_" else name, **style)
    ax.set_xlabel("clicks")
    ax.set_ylabel(label)
    ax.set_ylim(bottom=0)
    if names:
        ax.legend(frameon=False)
    return ax


def _new_axes() -> Any:
    """Return the axes of a new figure.

    Raises
    ------
    ImportError
        Matplotlib is not installed; the message names the remedy.

    """
    try:
        import matplotlib.pyplot as plt  # Imported here: only who plots needs it.
    except ImportError as error:
        raise ImportError(
            "plot() draws with matplotlib: pip install 'nextclick[plot]' installs it"
        ) from error
    _, ax = plt.subplots(layout="constrained")
    return ax
