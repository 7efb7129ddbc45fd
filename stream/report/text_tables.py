"""A comparison as a table of text: Markdown for a page, LaTeX for a paper, CSV for programs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ..comparison.config import CompareConfig
from ..config.declaration import SOURCE, TOPIC, declared
from .page import title
from .protocol_text import protocol_text

TableForm = Literal["markdown", "latex", "csv"]
"""The forms that a table may have."""

_IN_WORDS = ("models", "k", "seed", "seeds", "batch", "gap")
"""Options that a caption states in its sentences."""

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~$&])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}


class Cell(NamedTuple):
    """One figure of one model.

    Parameters
    ----------
    value
        The figure; the mean where there are several seeds. None where no click was scored.
    spread
        Its standard deviation over the seeds; None where there is one seed.
    difference, low, high
        Its difference from that of the first model, and the ends of the 95 % interval; None in the
        first row, the ends also where there are too few clicks.
    mark
        ``*`` where the interval excludes 0, ``**`` where it does after Holm's correction, too.
    best
        No model has a higher one.

    """

    value: float | None
    spread: float | None
    difference: float | None
    low: float | None
    high: float | None
    mark: str
    best: bool


def text_table(
    result: Mapping[str, Any], form: TableForm, figures: Sequence[str] | None = None
) -> str:
    """Return a comparison as a table of text.

    Parameters
    ----------
    result
        What `compare` returned.
    form
        ``markdown``, ``latex`` (with the package booktabs) or ``csv``.
    figures
        The figures, such as ``recall@20``; by default all in CSV, else those of the longest list.

    Raises
    ------
    ValueError
        There is no such form, or no such figure.

    """
    if form not in _FORMS:
        raise ValueError(f"a table is {', '.join(_FORMS)}, not {form!r}")
    return _FORMS[form](result, figures)


def chosen_figures(
    result: Mapping[str, Any], figures: Sequence[str] | None, *, whole: bool = False
) -> list[str]:
    """Return the figures of a table, checked.

    Raises
    ------
    ValueError
        There is no such figure.

    """
    if figures is None:
        most = f"@{max(result['k'])}"
        return [each for each in result["figures"] if whole or each.endswith(most)]
    for figure in [figures] if isinstance(figures, str) else figures:
        if figure not in result["figures"]:
            raise ValueError(
                f"there is no figure {figure!r}; there are {', '.join(result['figures'])}"
            )
    return [figures] if isinstance(figures, str) else list(figures)


def cells(result: Mapping[str, Any], figures: Sequence[str]) -> dict[str, list[Cell]]:
    """Return the cells of a table: for each model one for each figure."""
    models = result["models"]
    first = next(iter(models))
    apart = {
        (each["other"], each["figure"]): each
        for each in result["differences"]
        if each["model"] == first
    }
    best = {figure: max(found[figure] for found in models.values()) for figure in figures}
    return {
        name: [
            _cell(found, figure, apart.get((name, figure)), best[figure], bool(result["scored"]))
            for figure in figures
        ]
        for name, found in models.items()
    }


def _cell(
    found: Mapping[str, Any],
    figure: str,
    apart: Mapping[str, Any] | None,
    best: float,
    scored: bool,
) -> Cell:
    value = found[figure] if scored else None
    spread = found.get("spread", {}).get(figure)
    if apart is None:
        return Cell(value, spread, None, None, None, "", scored and value == best)
    mark = "**" if apart["holm"] else "*" if apart["real"] else ""
    low, high = apart["low"], apart["high"]
    return Cell(
        value,
        spread,
        -apart["difference"],
        None if high is None else -high,
        None if low is None else -low,
        mark,
        scored and value == best,
    )


def caption(result: Mapping[str, Any]) -> list[str]:
    """Return the sentences below a table: what was measured, on what, and what the marks mean."""
    config, models = result["config"], result["models"]
    seeds = max((len(found["seeds"][result["figures"][0]]) for found in _seeded(result)), default=1)
    gap = config["gap"] or ("30m" if config["user_column"] else "1d")
    protocol = result.get("protocol", {})
    learned = "" if protocol.get("frozen") else ", each before it is learned"
    scored = f"{result['scored']:,} of {result['usable']:,} clicks scored{learned}"
    unseen = (
        "" if "unseen" in protocol.get("leave_out", []) else "; an item never seen before is a miss"
    )
    sentences = [
        f"{result['source']}: {scored}, in batches of {config['batch']}.",
        *([text] if (text := protocol_text(result)) else []),
        f"Ranks are over all items known before the click{unseen}.",
        f"Sessions end after {gap} without a click.",
        f"Means of {seeds} seeds ± standard deviation." if seeds > 1 else f"Seed {config['seed']}.",
    ]
    if config.get("max_clicks"):
        sentences.insert(1, f"At most {config['max_clicks']:,} clicks are read.")
    if further := further_options(config):
        sentences.append(f"Further options: {', '.join(further)}.")
    if len(models) > 1:
        sentences.append(certainty(result["bootstrap"]))
    return sentences


def further_options(config: Mapping[str, Any]) -> list[str]:
    """Return the options that figures depend on and that differ from their defaults.

    Without those that a caption has in words, and those that only say how the source is read.

    Examples
    --------
    >>> config = CompareConfig(models={"markov": {}}, where="price > 0", batch=32, max_items=10)
    >>> further_options(config.public())
    ['--where price > 0', '--max-items 10']

    """
    return [
        f"{each.flag} {config[each.name]}"
        for each in declared(CompareConfig).values()
        if each.option.fixed
        and each.name not in _IN_WORDS
        and (each.option.panel not in (SOURCE, TOPIC) or each.name in ("where", "event_id"))
        and config.get(each.name, each.default) != each.default
    ]


def certainty(bootstrap: Mapping[str, Any]) -> str:
    """Return what intervals and marks mean, or why there are none."""
    if not bootstrap["draws"]:
        return "There are too few clicks to tell which differences are significant."
    return (
        "In brackets: 95 % interval of the difference from the first row (block bootstrap, "
        f"{bootstrap['draws']:,} draws); *: it excludes 0; **: also significant after Holm's "
        "correction for the number of differences."
    )


def _seeded(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [found for found in result["models"].values() if "seeds" in found]


def _markdown(result: Mapping[str, Any], figures: Sequence[str] | None) -> str:
    shown = chosen_figures(result, figures)
    lines = [
        "| " + " | ".join(["model", *map(title, shown)]) + " |",
        "| " + " | ".join(["---", *["---:"] * len(shown)]) + " |",
    ]
    for name, row in cells(result, shown).items():
        texts = [_markdown_cell(cell) for cell in row]
        lines.append("| " + " | ".join([_MARKDOWN.sub(r"\\\1", name), *texts]) + " |")
    return "\n".join([*lines, "", _MARKDOWN.sub(r"\\\1", " ".join(caption(result)))]) + "\n"


def _markdown_cell(cell: Cell) -> str:
    if cell.value is None:
        return "–"
    text = f"**{cell.value:.4f}**" if cell.best else f"{cell.value:.4f}"
    text += "" if cell.spread is None else f" ± {cell.spread:.4f}"
    text += cell.mark.replace("*", "\\*")
    return text + ("" if cell.low is None else f" \\[{_signed(cell.low)}, {_signed(cell.high)}\\]")


def _signed(value: float | None, minus: str = "−") -> str:
    assert value is not None
    return f"{value:+.4f}".replace("-", minus)


def _latex(result: Mapping[str, Any], figures: Sequence[str] | None) -> str:
    shown = chosen_figures(result, figures)
    lines = [
        r"% It needs \usepackage{booktabs} in the preamble.",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escape_latex(' '.join(caption(result)))}}}",
        r"  \label{tab:comparison}",
        rf"  \begin{{tabular}}{{l{'r' * len(shown)}}}",
        r"    \toprule",
        "    " + " & ".join(["Model", *map(title, shown)]) + r" \\",
        r"    \midrule",
    ]
    for name, row in cells(result, shown).items():
        values = [_latex_cell(cell) for cell in row]
        lines.append("    " + " & ".join([escape_latex(name), *values]) + r" \\")
        if any(cell.low is not None for cell in row):
            lines.append("    " + " & ".join(["", *map(_latex_interval, row)]).lstrip() + r" \\")
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _latex_cell(cell: Cell) -> str:
    if cell.value is None:
        return "--"
    text = rf"\textbf{{{cell.value:.4f}}}" if cell.best else f"{cell.value:.4f}"
    text += "" if cell.spread is None else rf" $\pm$ {cell.spread:.4f}"
    return text + (f"$^{{{cell.mark}}}$" if cell.mark else "")


def _latex_interval(cell: Cell) -> str:
    if cell.low is None:
        return ""
    return rf"{{\scriptsize $[{_signed(cell.low, '-')}, {_signed(cell.high, '-')}]$}}"


def escape_latex(text: str) -> str:
    r"""Return a text as LaTeX sets it, whatever it holds.

    Examples
    --------
    >>> escape_latex("our_models:Latest, 50 %")
    'our\\_models:Latest, 50 \\%'

    """
    text = "".join(_LATEX.get(sign, sign) for sign in text)
    return text.replace("±", r"$\pm$").replace("−", "$-$")


def _csv(result: Mapping[str, Any], figures: Sequence[str] | None) -> str:
    shown = chosen_figures(result, figures, whole=True)
    columns = ("", "_spread", "_difference", "_low", "_high", "_mark")
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["model", *(figure + column for figure in shown for column in columns)])
    for name, row in cells(result, shown).items():
        writer.writerow([name, *(value for cell in row for value in cell[:-1])])
    return written.getvalue()


_FORMS = {"markdown": _markdown, "latex": _latex, "csv": _csv}
