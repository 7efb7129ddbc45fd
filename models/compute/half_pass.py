"""One pass over a block of scores in bfloat16, with their error bounded: compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .block_pass import ONE, ZERO, Apart, Found, Single, Whole, Work, sum_row
from .group_counts import Rows, score_of
from .jit import compiled, summing

Halves = NDArray[np.uint16]
"""Bits of numbers in bfloat16."""

HIDDEN = np.uint16(0xFF80)
"""Minus infinity."""

ONE_BITS = np.uint16(0x3F80)
"""One."""

AT_ONCE = 16
"""Scores of which it is first asked whether any is close to a bar."""

SPLIT = np.float32(2**16 + 1)

COARSE = np.float32(2**-8 * 1.01)
"""Error of a number rounded to bfloat16, at most, as a share of what it is rounded to."""

FINE = np.float32(2**-22)
"""Error of each term in a sum of products in float32, at most, as a share of the largest sum."""

SMALLEST = np.float32(2**-126)
"""Of the numbers in float32 with all their digits, the smallest: less may be rounded to 0."""


class Extents(NamedTuple):
    """How large the numbers are that are multiplied, and the errors of rounding them to bfloat16.

    Parameters
    ----------
    outputs, output_errors
        float32 (m,): the outputs' norms, and those of their errors.
    references
        float32 (m,): what is subtracted from each click's scores, a number in bfloat16.
    blocks
        float32 (blocks, 4): of each block's rows, the largest norm, the largest norm of an error,
        the largest bias and its largest error.

    """

    outputs: Single
    output_errors: Single
    references: Single
    blocks: Single


@compiled
def reaches(
    bars: Single, clicks: Whole, extents: Extents, first: int, end: int
) -> tuple[Single, Single]:
    """Return what scores in bfloat16 surely reach, or surely miss, some clicks' bars.

    Parameters
    ----------
    bars
        (c,): of scores without rounding.
    clicks
        Which clicks.
    extents
        Of what is multiplied.
    first, end
        Which blocks.

    Returns
    -------
    missing, reaching
        (c, blocks): scores below the first are below the bar, from the second on they reach it.

    """
    found = extents.blocks[first:end]
    shape = len(clicks), len(found)
    missing, reaching = np.empty(shape, np.float32), np.empty(shape, np.float32)
    terms = FINE * np.float32(64)
    for at in range(len(clicks)):
        click = clicks[at]
        norm, error = extents.outputs[click], extents.output_errors[click]
        reference = extents.references[click]
        bar = bars[at] - reference
        for block in range(len(found)):
            most, most_error, bias, bias_error = found[block]
            size = norm * most + bias + abs(reference)
            wrong = error * most + norm * most_error + bias_error + terms * size
            if not wrong < np.inf:
                missing[at, block], reaching[at, block] = -np.inf, np.inf
                continue
            low, high = bar - wrong, bar + wrong
            missing[at, block] = low - abs(low) * COARSE
            reaching[at, block] = high + abs(high) * COARSE * (ONE + 2 * COARSE)
    return missing, reaching


@compiled
def hide(scores: Halves, block: int, first: int, apart: Apart) -> None:
    """Hide what does not compete in a block; see `take_apart`."""
    for at in range(apart.new_begins[block], apart.new_begins[block + 1]):
        column, enters = apart.new_rows[at] - first, apart.new_clicks[at]
        for click in range(len(scores)):
            if apart.known_from[click] <= enters:
                scores[click, column] = HIDDEN
    for at in range(apart.begins[block], apart.begins[block + 1]):
        scores[apart.clicks[at], apart.rows[at] - first] = HIDDEN


@summing
def pass_halves(
    scores: Halves,
    block: tuple[int, int],
    rows: Rows,
    bars: tuple[Single, Single, Single],
    sums: bool,
    found: Found,
    above: Whole,
    work: Work,
) -> None:
    """Do what `pass_block` does; what lies close to a bar is computed again in float32.

    Parameters
    ----------
    scores
        (m, n), less each click's reference.
    block
        Its number, and its first row.
    rows
        What the scores are computed from.
    bars
        (m,) each: the bars, and `reaches` of the block.
    sums, found, above, work
        See `pass_block`.

    """
    columns = scores.shape[1]
    number, first = block
    bits = np.empty(columns, np.int32)
    row = bits.view(np.float32)
    exact, missing, reaching = bars
    for click in range(len(scores)):
        halves, low, high = scores[click], missing[click], reaching[click]
        for at in range(columns):
            bits[at] = np.int32(halves[at]) << 16
        count, open_ones, odd = ZERO, ZERO, ZERO
        for at in range(columns):
            count += ONE if row[at] >= high else ZERO
            open_ones += ONE if row[at] >= low else ZERO
            odd += ZERO if row[at] < np.inf else ONE
        above[click] += int(count)
        if odd != ZERO:
            found.broken[click] = True
        elif open_ones != count:
            above[click] += _count_open(row, first, click, (exact[click], low, high), rows)
        if sums:
            sum_row(row, click, number, found, work)


@compiled
def _count_open(
    row: Single,
    first: int,
    click: int,
    bars: tuple[np.float32, np.float32, np.float32],
    rows: Rows,
) -> int:
    """Count, of the scores that may or may not reach a bar, those that do in float32."""
    count = 0
    bar, low, high = bars
    for begin in range(0, len(row), AT_ONCE):
        some = row[begin : begin + AT_ONCE]
        if not _any_open(some, low, high):
            continue
        for at in range(len(some)):
            if low <= some[at] < high and some[at] > -np.inf:
                place = first + begin + at
                score = score_of(rows.outputs[click], rows.embedding[place]) + rows.bias[place]
                count += score >= bar
    return count


@summing
def _any_open(scores: Single, low: np.float32, high: np.float32) -> bool:
    open_ones = ZERO
    for at in range(len(scores)):
        open_ones += ONE if scores[at] >= low else ZERO
        open_ones -= ONE if scores[at] >= high else ZERO
    return bool(open_ones > ZERO)


@compiled
def score_special(
    rows: Rows, spans: Whole, special: NDArray[np.int32], apart: Apart, found: Found
) -> Single:
    """Compute the scores of the special items; return the highest of each click."""
    highest = np.full(len(spans), -np.inf, np.float32)
    for click in range(len(spans)):
        for place in range(spans[click, 0], spans[click, 1]):
            row = special[place]
            new = np.searchsorted(apart.new_rows, row)
            is_new = new < len(apart.new_rows) and apart.new_rows[new] == row
            if is_new and apart.known_from[click] <= apart.new_clicks[new]:
                continue
            score = score_of(rows.outputs[click], rows.embedding[row]) + rows.bias[row]
            found.special[place] = score
            if not score < np.inf:
                found.broken[click] = True
            highest[click] = max(highest[click], score)
    return highest


@compiled
def fill_norms(numbers: Single, norms: Single, errors: Single) -> None:
    """Find the norms of rows, and of the errors of rounding them to bfloat16: (n,) each."""
    wrong = np.empty(numbers.shape[1], np.float32)
    for row in range(len(numbers)):
        _fill_errors(numbers[row], wrong)
        norms[row], errors[row] = _norm(numbers[row]), _norm(wrong)


@compiled
def _fill_errors(numbers: Single, wrong: Single) -> None:
    for at in range(len(numbers)):
        # What is left after the first 8 of its 24 digits (Veltkamp, 1968).
        high = numbers[at] * SPLIT
        wrong[at] = numbers[at] - (high - (high - numbers[at]))


@summing
def _norm(numbers: Single) -> np.float32:
    # As much as the squares of small numbers may lose: a norm that is a bound is never too small.
    norm = np.float32(len(numbers)) * SMALLEST
    for at in range(len(numbers)):
        norm += numbers[at] * numbers[at]
    whole: np.float32 = np.sqrt(norm)
    return whole


@compiled
def fill_block(embedding: Single, bias: Single, halves: Halves, extents: Single) -> None:
    """Round a block's biases to bfloat16, and find how large its rows and biases are.

    Parameters
    ----------
    embedding, bias
        (n, hidden) and (n,).
    halves
        (n, at least hidden + 3): after the embedding, the bias in two parts, and one.
    extents
        (4,): filled, see `Extents.blocks`.

    """
    size, count = embedding.shape[1], len(bias)
    norms, errors = np.empty(count, np.float32), np.empty(count, np.float32)
    fill_norms(embedding, norms, errors)
    extents[:] = ZERO
    number = np.empty(1, np.float32)
    bits = number.view(np.uint32)
    for row in range(count):
        number[0] = bias[row]
        halves[row, size] = _round(bits)
        halves[row, size + 1] = 0
        halves[row, size + 2] = ONE_BITS
        if abs(bias[row]) < np.inf:
            number[0] = bias[row] - number[0]
            extents[2] = max(extents[2], abs(bias[row]))
            left = number[0]
            halves[row, size + 1] = _round(bits)
            extents[3] = max(extents[3], abs(left - number[0]))
            # Of what is not a number the largest is not one, either.
            extents[0] = norms[row] if not norms[row] <= extents[0] else extents[0]
            extents[1] = errors[row] if not errors[row] <= extents[1] else extents[1]


@compiled
def _round(bits: NDArray[np.uint32]) -> np.uint16:
    """Round a number to bfloat16, in its place; of two as near to the even one; return its bits."""
    number = bits[0]
    half = (number + 0x7FFF + ((number >> 16) & 1)) >> 16
    if (number & 0x7FFFFFFF) > 0x7F800000:
        half = (number >> 16) | 0x40
    bits[0] = half << 16
    return np.uint16(half)
