"""A comparison at the terminal: the live line, and the tables at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ..report.page import title
from ..report.protocol_text import protocol_text
from .progress import Progress

if TYPE_CHECKING:
    from ..engine import Engine


class ArenaProgress(Progress):
    """Progress of a comparison, with the best model so far."""

    def more(self, engine: Engine) -> list[str]:
        """Return what the line shows besides clicks and time."""
        from ..comparison.arena import Arena

        assert isinstance(engine.model, Arena)
        name, figure, value = engine.model.leader()
        return [f"best: {name}, {title(figure)} {value:.3f}", f"{len(engine.model.seeds)} models"]


def standings(result: dict[str, Any]) -> Iterator[Table | Text]:
    """Make what is shown of a comparison: two tables with a row for each model, and their key.

    Parameters
    ----------
    result
        What `compare` gave.

    """
    most = max(result["k"])
    shown = [f"{metric}@{most}" for metric in ("recall", "mrr", "ndcg")]
    first = next(iter(result["models"]))
    apart = {
        (each["other"], each["figure"]): each
        for each in result["differences"]
        if each["model"] == first
    }
    form: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0)}  # To fit 80 columns.
    quality = Table(title="nextclick compare", title_justify="left", **form)
    quality.add_column("model", style="bold", overflow="fold")
    for figure in shown:
        quality.add_column(title(figure), justify="right", no_wrap=True)
    rest = Table(**form)
    rest.add_column("model", style="bold", overflow="fold")
    heads = ("last half", "coverage", "popularity", "score ms", "learn ms", "MB")
    seeded = any("spread" in found for found in result["models"].values())
    for head in (*heads, *(["over seeds"] if seeded else [])):
        rest.add_column(head, justify="right")
    for name, found in result["models"].items():
        cells = []
        for figure in shown:
            cell = Text(f"{found[figure]:.4f}" if result["scored"] else "–")
            if (name, figure) in apart:
                cell.append(_signed(apart[name, figure]), style="dim")
            cells.append(cell)
        quality.add_row(name, *cells)
        rest.add_row(
            name,
            f"{found['last_half'][shown[0]]:.4f}",
            f"{found['coverage']:.1%}" if result["lists"] else "–",
            f"{found['popularity']:.3%}" if result["lists"] else "–",
            f"{found['score_ms']:.3f}",
            f"{found['learn_ms']:.3f}",
            f"{found['memory_mb']:,.1f}",
            *([_spread(found, shown[0])] if seeded else []),
        )
    yield quality
    yield rest
    yield Text(_key(result, title(shown[0])), style="dim")


def _spread(found: dict[str, Any], figure: str) -> str:
    return f"±{found['spread'][figure]:.4f}" if "spread" in found else "–"


def _signed(apart: dict[str, Any]) -> str:
    """Write a model's difference from the first one, with stars where it is real."""
    behind = -apart["difference"]
    sign = "+" if behind > 0 else "−" if behind < 0 else " "
    star = "**" if apart["holm"] else "* " if apart["real"] else "  "
    return f" {sign}{abs(behind):.4f}{star}"


def _key(result: dict[str, Any], figure: str) -> str:
    sure = (
        "* the 95 % interval of the difference from the first row excludes 0\n** also after Holm's "
        "correction for the number of differences"
        if result["bootstrap"]["draws"]
        else "too few clicks to tell which differences are significant"
    )
    counts = f"{text}\n" if (text := protocol_text(result)) else ""
    seeds = result["config"]["seeds"]
    over = (
        f"\nfigures are means over {seeds} seeds where a model takes a seed; over seeds: standard "
        f"deviation of\n{figure}"
        if seeds > 1
        else ""
    )
    return (
        f"{result['usable']:,} clicks read, {result['scored']:,} scored\n"
        f"{counts}{sure}\nlast half: "
        f"{figure} over the second half of the clicks\ncoverage: share of the catalogue in "
        f"{result['lists']:,} lists of {max(result['k'])}\npopularity: mean popularity of the "
        "recommended items\nms: milliseconds per click; MB: size of the model's state"
        f"{over}"
    )
