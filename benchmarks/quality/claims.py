"""Published claims about GRU4Rec, tested on streams.

For example, from the repository's root:

    .venv/bin/python -m benchmarks.quality.claims --data ../shared/data --clicks 150000

Prints a Markdown table and a verdict for each claim; `--only sparse,cells` for some of them.
GRU4Rec is the network alone. Figures are in percent over all scored clicks, items never seen being
misses; behind a difference stands its paired 95 % interval
(docs/guide/compare.md). Costs are CPU seconds:
a busy machine stretches them far less than the clock's. `--clicks` is what plentiful means; the
other streams are cut in proportion.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.quality.side_by_side import Stream, network_alone, read, side_by_side
from benchmarks.quality.speed_claim import attention, windows
from benchmarks.quality.tables import both, header, row, spread
from benchmarks.quality.verdicts import (
    Verdict,
    about_zero,
    all_of,
    any_of,
    minus,
    opposite,
    over_zero,
)
from nextclick.models import Recommender
from nextclick.models.recommender import Id
from nextclick.models.rivals.gru4rec.variants import GRU4RecLSTM
from nextclick.models.rivals.neural.bpr_mf import BPRMF
from nextclick.models.rivals.neural.fpmc import FPMC
from nextclick.models.rivals.neural.sasrec import SASRec

MARGIN = 0.01
"""Figures that differ by less are about the same."""

AHEAD = {Verdict.HOLDS: "GRU4Rec", Verdict.FAILS: "FPMC", Verdict.OPEN: "neither"}
GAPS = ("Recall@20, GRU4Rec − FPMC", "MRR@20, GRU4Rec − FPMC")

SAME = 0.999
"""A list of which so much stays is the same list: sums in another order round differently."""


def items_so_far(stream: Stream, end: int) -> str:
    """Write how many clicks there were for each item by a place in the stream."""
    return f"{end / len(set(stream.items[:end])):.1f}"


def sparse(data: Path, clicks: int) -> dict[str, Verdict]:
    """GRU4Rec outperforms FPMC when data is plentiful, and FPMC can win when it is sparse."""
    shop = read(str(data / "yoochoose.csv.gz"), clicks)
    few = clicks // 30
    week = read(str(data / "yoochoose.csv.gz"), 0)
    thin = week.thinned(len(week.items) // (2 * few))
    simulated = f"sim:clicks={few},items=20000,life=0"
    streams = [
        (shop, [0, few, clicks // 10, clicks // 3, clicks]),
        (thin, [0, len(thin.items)]),
        (read(str(data / "deskdrop.csv.gz"), few), [0, few]),
        (read(str(data / "trivago.csv.gz"), few), [0, few]),
        (read(simulated, 0, name=f"`{simulated}`"), [0, few]),
    ]
    header("stream", "clicks", "clicks an item", "GRU4Rec", "FPMC", *GAPS, "ahead")
    plenty, scarce = [], []
    for stream, ends in streams:
        groups = np.searchsorted(ends, np.arange(len(stream.items)), side="right") - 1
        found = side_by_side({"gru": network_alone(), "fpmc": FPMC()}, stream, groups=groups)
        for group, (start, end) in enumerate(itertools.pairwise(ends)):
            gaps = [found.ahead(f"{f}@20", "gru", "fpmc", group) for f in ("recall", "mrr")]
            ours = [over_zero(gap) for gap in gaps]
            if end == clicks:
                plenty.append(all_of(ours))
            elif start == 0:
                scarce.append(all_of(over_zero(opposite(gap)) for gap in gaps))
            cells = [both(found, model, group) for model in ("gru", "fpmc")]
            print(
                row(
                    stream.name,
                    f"{start:,} to {end:,}",
                    items_so_far(stream, end),
                    *cells,
                    *(spread(gap) for gap in gaps),
                    ", ".join(AHEAD[verdict] for verdict in ours),
                ),
                flush=True,
            )
    return {
        "GRU4Rec outperforms FPMC when data is plentiful": all_of(plenty),
        "FPMC can win when it is sparse": any_of(scarce),
    }


def cells(data: Path, clicks: int) -> dict[str, Verdict]:
    """LSTM performs about like GRU and costs more."""
    header(
        *("stream", "GRU", "LSTM", "Recall@20, LSTM − GRU", "MRR@20, LSTM − GRU", "alike"),
        *("CPU ms a click, GRU", "LSTM", "difference", "ratio", "costs more"),
    )
    alike, dearer = [], []
    for name in ("yoochoose", "deskdrop", "trivago"):
        stream = read(str(data / f"{name}.csv.gz"), clicks * 2 // 15)
        found = side_by_side({"gru": network_alone(), "lstm": GRU4RecLSTM()}, stream)
        gaps = [found.ahead(f"{figure}@20", "lstm", "gru") for figure in ("recall", "mrr")]
        alike.append(all_of(about_zero(gap, MARGIN) for gap in gaps))
        more = found.dearer("lstm", "gru")
        dearer.append(over_zero(more))
        costs = found.cost("gru"), found.cost("lstm")
        print(
            row(
                name,
                both(found, "gru"),
                both(found, "lstm"),
                *map(spread, gaps),
                alike[-1].value,
                *(f"{cost:.3f}" for cost in costs),
                spread(more, 1, 3),
                f"{costs[1] / costs[0]:.2f}",
                dearer[-1].value,
            ),
            flush=True,
        )
    return {"LSTM performs about like GRU": all_of(alike), "LSTM costs more": all_of(dearer)}


def long_sessions(data: Path, clicks: int) -> dict[str, Verdict]:
    """GRU4Rec suffers on very long sessions."""
    names = ("2 to 5", "6 to 20", "21 to 50", "51 and on")
    header(
        *("stream", "rival", "figure", *(f"GRU4Rec − rival at click {name}" for name in names)),
        *("last − first", "falls behind"),
    )
    size = clicks * 2 // 15
    streams = [
        read(str(data / "trivago.csv.gz"), size),
        read(str(data / "deskdrop.csv.gz"), size, "user_id", "deskdrop, users for sessions"),
        read(f"sim:clicks={size},length=40", 0, name="`sim:length=40`"),
    ]
    verdicts: dict[str, list[Verdict]] = {"SASRec": [], "FPMC": []}
    for stream in streams:
        groups = np.searchsorted([2, 6, 21, 51], stream.places(), side="right") - 1
        models = {"GRU4Rec": network_alone(), "SASRec": SASRec(), "FPMC": FPMC()}
        found = side_by_side(models, stream, groups=groups)
        there = [group for group in range(groups.max() + 1) if found.scored(group) >= 500]
        for rival, own in verdicts.items():
            for figure in ("Recall@20", "MRR@20"):
                gaps = [found.ahead(figure.lower(), "GRU4Rec", rival, group) for group in there]
                lost = minus(gaps[-1], gaps[0])
                own.append(over_zero(opposite(lost)))
                shown = [*map(spread, gaps), *["–"] * (len(names) - len(gaps))]
                cells = [stream.name, rival, figure, *shown, spread(lost), own[-1].value]
                print(row(*cells), flush=True)
    return {f"in long sessions it falls behind {r}": all_of(own) for r, own in verdicts.items()}


def kept_when_swapped(model: Recommender, stream: Stream, most: int = 200) -> float:
    """Return what share of 20 recommendations stay when a session's last two clicks change places.

    Asked for the latest sessions whose last two clicks are on different items, three clicks at
    least and 20 at most of each.
    """
    sessions: dict[Id, list[Id]] = {}
    for session, item in zip(stream.sessions, stream.items, strict=True):
        sessions.setdefault(session, []).append(item)
    fit = [own[-20:] for own in sessions.values() if len(own) > 2 and own[-1] != own[-2]]
    shares = []
    for own in fit[-most:]:
        swapped = [*own[:-2], own[-1], own[-2]]
        one, other = ({i for i, _ in model.recommend(each, 20)} for each in (own, swapped))
        shares.append(len(one & other) / len(one))
    return float(np.mean(shares))


def order(data: Path, clicks: int) -> dict[str, Verdict]:
    """Order-blind factorisation cannot use the last click."""
    size = clicks // 10
    streams = [
        read(str(data / "yoochoose.csv.gz"), size),
        read(str(data / "trivago.csv.gz"), size),
        read(f"sim:clicks={size},length=10", 0, name="`sim:length=10`"),
    ]
    header(
        *("stream", "model", "at click 2", "at click 3 and on"),
        *("kept when the last two are swapped", "Recall@20 over order-blind, 3 and on"),
        *("more", "MRR@20 over order-blind, 3 and on", "more"),
    )
    blind, last = "BPR-MF, order-blind", "BPR-MF, last click"
    seen: list[Verdict] = []
    gained: dict[str, list[Verdict]] = {"Recall@20": [], "MRR@20": []}
    for stream in streams:
        groups = np.searchsorted([2, 3], stream.places(), side="right") - 1
        models: dict[str, Recommender] = {
            blind: BPRMF(window=20),
            last: BPRMF(window=1),
            "FPMC": FPMC(window=20),
            "GRU4Rec": network_alone(),
        }
        found = side_by_side(models, stream, groups=groups)
        for name, model in models.items():
            kept = kept_when_swapped(model, stream)
            cells = [*(both(found, name, group) for group in (0, 1)), f"{100 * kept:.1f} %"]
            if name == blind:
                seen.append(Verdict.HOLDS if kept > SAME else Verdict.FAILS)
            else:
                for figure, own in gained.items():
                    gap = found.ahead(figure.lower(), name, blind, 1)
                    cells += [spread(gap), over_zero(gap).value]
                    if name == last:
                        own.append(over_zero(gap))
            print(row(stream.name, name, *cells, *[""] * (7 - len(cells))), flush=True)
    return {
        "order-blind factorisation does not see which click is the last": all_of(seen),
        **{f"and loses {figure} by it": all_of(own) for figure, own in gained.items()},
    }


CLAIMS: dict[str, Callable[[Path, int], dict[str, Verdict]]] = {
    "sparse": sparse,
    "attention": attention,
    "windows": windows,
    "cells": cells,
    "long": long_sessions,
    "order": order,
}


def main(
    data: Annotated[Path, typer.Option(help="Folder with the logs.")] = Path("../shared/data"),
    clicks: Annotated[int, typer.Option(min=15_000, help="What plentiful means.")] = 150_000,
    only: Annotated[str, typer.Option(help="Claims, parted by commas.")] = ",".join(CLAIMS),
) -> None:
    """Ask the claims of streams, and print a table and a verdict each."""
    torch.set_num_threads(1)
    for name in only.split(","):
        if name not in CLAIMS:
            raise typer.BadParameter(f"{name}: no such claim; there are {', '.join(CLAIMS)}")
    for name in only.split(","):
        claim = CLAIMS[name]
        print(f"\n## {name}\n\n{claim.__doc__}", flush=True)
        verdicts = claim(data, clicks)
        print()
        for sentence, verdict in verdicts.items():
            print(f"- {sentence}: **{verdict.value}**.", flush=True)


if __name__ == "__main__":
    typer.run(main)
