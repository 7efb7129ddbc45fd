"""What a run and a comparison return: figures in a dict, and the forms that people take them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, ClassVar

from .arrow_tables import OF_A_COMPARISON, OF_A_RUN, MakeTable
from .page import number, title
from .plots import plot_comparison, plot_run
from .text_tables import caption, cells, chosen_figures, text_table


class _Result(dict[str, Any]):
    """The figures, in JSON's types."""

    tables: ClassVar[Mapping[str, MakeTable]] = {}

    def _table(self, name: str) -> Any:
        if name not in self.tables:
            raise ValueError(f"there is no table {name!r}; there are {', '.join(self.tables)}")
        return self.tables[name](self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the first table by the Arrow PyCapsule interface, as Polars and DuckDB take it."""
        return self._table(next(iter(self.tables))).__arrow_c_stream__(requested_schema)


class ComparisonResult(_Result):
    """What `compare` returns: a dict of the figures in JSON's types, with further forms of them.

    Examples
    --------
    >>> from nextclick.stream import CompareConfig, compare
    >>> config = CompareConfig(models={"markov": {}, "popularity": {}}, device="cpu")
    >>> result = compare("sim:clicks=300", config)
    >>> result.table()["model"].to_pylist() == list(result["models"])
    True
    >>> print(result.to_markdown(["recall@20"]).splitlines()[0])
    | model | Recall@20 |

    """

    tables = OF_A_COMPARISON

    def table(self, name: str = "models") -> Any:
        """Return a part as a `pyarrow.Table`: ``polars.from_arrow`` and ``to_pandas()`` take it.

        Parameters
        ----------
        name
            ``models``, a row for each model; ``differences``, a row for each two models and each
            figure; ``windows``, a row for each model and window of the stream; ``slices``, a row
            for each model and kind of click; ``drift``, a row for each alarm.

        Raises
        ------
        ValueError
            There is no such table.

        """
        return self._table(name)

    def to_markdown(self, figures: Sequence[str] | None = None) -> str:
        """Return a row for each model as Markdown, and a caption that states how it was measured.

        Parameters
        ----------
        figures
            The figures, such as ``recall@20``; by default those of the longest list.

        """
        return text_table(self, "markdown", figures)

    def to_latex(self, figures: Sequence[str] | None = None) -> str:
        """Return the table of `to_markdown` as LaTeX, with the rules of the package booktabs."""
        return text_table(self, "latex", figures)

    def to_csv(self, figures: Sequence[str] | None = None) -> str:
        """Return the table of `to_markdown` as CSV; by default it has all figures."""
        return text_table(self, "csv", figures)

    def plot(self, figure: str | None = None, ax: Any = None, **style: Any) -> Any:
        """Draw a figure of every model along the stream, and return matplotlib's axes.

        Parameters
        ----------
        figure
            Such as ``mrr@20``; by default the recall of the longest list.
        ax
            The axes to draw on; by default those of a new figure.
        **style
            Passed to ``Axes.plot``.

        Raises
        ------
        ImportError
            Matplotlib is not installed: it comes with the extra ``plot``.
        ValueError
            There is no such figure.

        """
        return plot_comparison(self, figure, ax, **style)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the table of `to_markdown`."""
        figures = chosen_figures(self, None)
        rows = []
        for name, row in cells(self, figures).items():
            shown = []
            for cell in row:
                value = "–" if cell.value is None else f"{cell.value:.4f}"
                value = f"<b>{value}</b>" if cell.best else value
                spread = "" if cell.spread is None else f" ± {cell.spread:.4f}"
                ends = ""
                if cell.low is not None and cell.high is not None:
                    ends = f"<br><small>[{cell.low:+.4f}, {cell.high:+.4f}]</small>"
                shown.append(f"{value}{spread}{cell.mark}{ends}".replace("-", "−"))
            rows.append([escape(name), *shown])
        return _html(["model", *map(title, figures)], rows, " ".join(caption(self)))


class RunResult(_Result):
    """What `run` returns: a dict of the figures in JSON's types, with further forms of them."""

    tables = OF_A_RUN

    def table(self, name: str = "figures") -> Any:
        """Return a part as a `pyarrow.Table`: ``polars.from_arrow`` and ``to_pandas()`` take it.

        Parameters
        ----------
        name
            ``figures``, a row for all scored clicks and for each part of them; ``windows``, a row
            for each window of the stream; ``drift``, a row for each alarm.

        Raises
        ------
        ValueError
            There is no such table.

        """
        return self._table(name)

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the figures along the stream; see `ComparisonResult.plot`."""
        return plot_run(self, ax, **style)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the figures."""
        table = self.table()
        figures = table.column_names[1:]
        labels = {
            "all": "all scored clicks",
            "seen": "items seen before",
            "sliding": "last window",
            "fading": "fading",
        }
        rows = [
            [labels[row["over"]], *(number(row[figure]) for figure in figures)]
            for row in table.to_pylist()
        ]
        text = (
            f"{self['model']} on {self['source']}: {self['usable']:,} clicks read, "
            f"{self['scored']:,} scored, then learned; {self['catalogue']:,} items known."
        )
        return _html(["", *map(title, figures)], rows, text)


def _html(heads: Sequence[str], rows: Sequence[Sequence[str]], text: str) -> str:
    """Return a table of cells that are HTML, with a text below it that is not."""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(
        f"<tr><th>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    return (
        f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"<p>{escape(text)}</p>"
    )
