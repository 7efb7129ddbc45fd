"""The unit of times that are numbers: given, or told by their size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..clicks import LATEST_TIME
from ..source import SourceError
from .log_format import UNITS_PER_SECOND, TimeUnit
from .values import UnusableError, dates_to_times, number_in, parse_date

WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

UNITS: tuple[TimeUnit, ...] = ("s", "ms", "us", "ns")

LIMITS = {unit: LATEST_TIME * UNITS_PER_SECOND[unit] for unit in UNITS}
"""The year 10000 by unit: a number is in the coarsest unit whose limit it is below."""

LEAST = dict(zip(LIMITS, [0.0, *LIMITS.values()], strict=False))


def unit_of(number: float) -> TimeUnit | None:
    """Return the unit that a time's size tells, None where it is too large for any.

    Examples
    --------
    >>> [unit_of(number) for number in (1396861869.2, 1396861869277, 1396861869277000, 1e30)]
    ['s', 'ms', 'us', None]

    """
    size = abs(number)
    return next((unit for unit, limit in LIMITS.items() if size < limit), None)


class TimeScale:
    """Turns numbers into epoch seconds, and texts that hold a number or a date.

    Parameters
    ----------
    unit
        What a number counts. None: the first time of the stream tells it by its size, and a later
        number that is of another unit by its size cannot be used; a first time that is a date
        stands for seconds. 0 is the same moment in every unit, and tells nothing.

    Attributes
    ----------
    fixed
        Whether it was given.

    Examples
    --------
    >>> scale = TimeScale()
    >>> scale.seconds(1396861869277), scale.unit
    (1396861869.277, 'ms')

    """

    def __init__(self, unit: TimeUnit | None = None) -> None:
        self.fixed = unit is not None
        self.unit = unit

    @property
    def unit(self) -> TimeUnit | None:
        """The unit; None where nothing has told it yet."""
        return self._unit

    @unit.setter
    def unit(self, unit: TimeUnit | None) -> None:
        self._unit = unit
        self._per_second = 1.0 if unit is None else UNITS_PER_SECOND[unit]
        # The sizes of which nothing is to be checked.
        self._least, self._limit = 0.0, 0.0 if unit is None else math.inf
        if unit is not None and not self.fixed:
            self._least, self._limit = LEAST[unit], LIMITS[unit]

    def seconds(self, number: float) -> float:
        """Return a number as epoch seconds, perhaps not finite, or too large for any unit.

        Raises
        ------
        UnusableError
            It is in another unit than the stream's first time.

        """
        if self._least <= abs(number) < self._limit or self.fixed:
            return number / self._per_second
        told = unit_of(number)
        if told is None or number == 0:
            return number
        if self.unit is None:
            self.unit = told
        if told != self.unit:
            raise UnusableError(
                "mixed_time_units",
                f"the time {number:.15g} looks like {WORDS[told]}, but the times before are in "
                f"{WORDS[self.unit]}",
            )
        return number / self._per_second

    def read(self, text: str) -> float:
        """Return the epoch seconds in a text, perhaps not finite.

        Raises
        ------
        UnusableError
            It is neither a number nor a date, or a number in another unit.

        """
        text = text.strip(" \t")
        number = number_in(text)
        if number is not None:
            return self.seconds(number)
        time = parse_date(text)
        self.note_date()
        return time

    def texts(self, column: Any) -> NDArray[np.float64] | None:
        """Return an Arrow column of texts, each as `read` does; None where one might differ."""
        if column.null_count or not len(column):
            return None
        if number_in(column[0].as_py().strip(" \t")) is None:
            times = dates_to_times(column)
            if times is not None:
                self.note_date()
            return times
        try:
            return self.column(pc.cast(column, pa.float64()).to_numpy())
        except pa.ArrowException:
            return None

    def column(self, numbers: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return numbers as epoch seconds; None where one may not be in the stream's unit."""
        if self.fixed:
            return numbers / self._per_second
        unit = self.unit
        if unit is None:
            telling = np.flatnonzero(numbers)
            if not len(telling):
                return numbers
            unit = unit_of(float(numbers[telling[0]]))
        if unit is None:
            return None
        sizes = np.abs(numbers)
        # Comparisons with NaN are false.
        if not (sizes < LIMITS[unit]).all():
            return None
        if unit != "s" and not ((sizes >= LEAST[unit]) | (sizes == 0)).all():
            return None
        self.unit = unit
        return numbers if unit == "s" else numbers / UNITS_PER_SECOND[unit]

    def note_date(self) -> None:
        """Note that a time is a date: if it is the first, numbers that follow are seconds."""
        if self.unit is None:
            self.unit = "s"

    @property
    def state(self) -> dict[str, TimeUnit | None]:
        """What a position holds of the unit: nothing where it was given, or is the second."""
        return {} if self.fixed or self._unit == "s" else {"unit": self._unit}

    def restore(self, unit: object) -> None:
        """Go back to the unit of a position; one that holds none has ``"s"``.

        Raises
        ------
        SourceError
            It is no unit.

        """
        if self.fixed:
            return
        if unit is not None and unit not in list(UNITS_PER_SECOND):
            raise SourceError(f"the snapshot has times in the unknown unit {unit!r:.40}")
        self.unit = unit  # type: ignore[assignment]

    def note(self, name: str) -> list[str]:
        """Return what a person should know: that the size of the times has told their unit."""
        if self.fixed or self.unit in (None, "s"):
            return []
        words = WORDS[str(self.unit)]
        remedy = f"--time-unit {self.unit} fixes the unit"
        return [f"{name}: by the size of the first, its times are in {words}; {remedy}"]
