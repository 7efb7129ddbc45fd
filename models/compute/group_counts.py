"""Counts of scores from a bar on, from the highest scores of groups of rows: compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .block_pass import LANES, PIECE
from .jit import compiled, summing

Single = NDArray[np.float32]
Whole = NDArray[np.int64]
Small = NDArray[np.int32]


class Rows(NamedTuple):
    """What scores are computed from: (m, hidden), (rows, hidden) and (rows,)."""

    outputs: Single
    embedding: Single
    bias: Single


class Groups(NamedTuple):
    """What is known of the scores of m clicks, and which do not count.

    Parameters
    ----------
    highest, of_blocks
        float32 (blocks, m, pieces, `LANES`) and (blocks, m): the highest score of each group, and
        of each block.
    block_rows
        Rows of a block.
    spans, rows, new_rows, new_clicks, known_from
        See `Wanted`.

    """

    highest: Single
    of_blocks: Single
    block_rows: int
    spans: Whole
    rows: Small
    new_rows: Whole
    new_clicks: Whole
    known_from: Whole


@compiled
def count_in_groups(
    rows: Rows, clicks: Whole, bars: Single, least: Single, groups: Groups, most: int
) -> Whole:
    """Count some clicks' scores from a bar on.

    Parameters
    ----------
    rows
        What the scores are computed from.
    clicks, bars
        (c,): which clicks, and their bars.
    least
        (c, blocks): no score of a block reaches the bar if none is at least as high.
    groups
        The highest scores of groups.
    most
        How many groups are looked at for a click, at most.

    Returns
    -------
    counts
        int64 (c,): -1 where more groups may reach the bar.

    """
    counts = np.zeros(len(clicks), np.int64)
    blocks, _, pieces, _ = groups.highest.shape
    for at in range(len(clicks)):
        click, reaching = clicks[at], 0
        for block in range(blocks):
            if groups.of_blocks[block, click] >= least[at, block]:
                highest = groups.highest[block, click].reshape(-1)
                reaching += _reaching(highest, least[at, block])
        if reaching > most:
            counts[at] = -1
        elif reaching:
            for block in range(blocks):
                if groups.of_blocks[block, click] >= least[at, block]:
                    for piece in range(pieces):
                        first = block * groups.block_rows + piece * PIECE
                        end = min(first + PIECE, (block + 1) * groups.block_rows)
                        bar = bars[at], least[at, block]
                        highest = groups.highest[block, click, piece]
                        counts[at] += _count(rows, click, bar, highest, first, end, groups)
    return counts


@summing
def _reaching(highest: Single, bar: np.float32) -> int:
    count = 0
    for at in range(len(highest)):
        count += highest[at] >= bar
    return count


@compiled
def _count(
    rows: Rows,
    click: int,
    bars: tuple[np.float32, np.float32],
    highest: Single,
    first: int,
    end: int,
    groups: Groups,
) -> int:
    """Count a click's scores within the groups of a piece, its rows from `first` to `end`."""
    count = 0
    bar, least = bars
    for lane in range(LANES):
        if highest[lane] >= least:
            for row in range(first + lane, min(end, len(rows.bias)), LANES):
                score = score_of(rows.outputs[click], rows.embedding[row]) + rows.bias[row]
                count += score >= bar and competes(row, click, groups)
    return count


@summing
def score_of(output: Single, embedded: Single) -> np.float32:
    """Return the product of two vectors."""
    score = np.float32(0)
    for place in range(len(output)):
        score += output[place] * embedded[place]
    return score


@compiled
def competes(row: int, click: int, groups: Groups) -> bool:
    """Whether an item is none of a click's special ones, and known before it."""
    for place in range(groups.spans[click, 0], groups.spans[click, 1]):
        if groups.rows[place] == row:
            return False
    for at in range(len(groups.new_rows)):
        if groups.new_rows[at] == row and groups.known_from[click] <= groups.new_clicks[at]:
            return False
    return True
