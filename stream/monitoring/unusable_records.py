"""Why a source's records cannot be used, reported while it is being read."""

from __future__ import annotations

import re
import time
from collections import Counter

from nextclick.connectors import FILTERED, Clicks, Rejected

PATIENCE = 5.0
"""Seconds from the first rejected record to the report that none can be used, or few."""

AT_ONCE = 1000
"""Rejected records after which this is reported though less time has passed."""

FEW = 20
"""Rejected records among usable ones that are no news."""

UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}

LATELY = (1e8, 5e9)
"""Epoch seconds that a click may have: from 1973 to 2128."""

COLUMNS = "name the columns or fields with --session-column, --item-column and --time-column"
FORMAT = "check that it has the format given by its name or --format"

REMEDIES = {
    "no_session": "name the column or field of the session with --session-column, or of the user "
    "with --user-column",
    "no_item": "name the column or field of the item with --item-column",
    "no_time": "name the column or field of the time with --time-column",
    "wrong_type": COLUMNS,
    "bad_time": "name another column or field of the time with --time-column",
    "mixed_time_units": "name the unit of all times with --time-unit: s, ms, us or ns",
    "time_out_of_range": "name the unit of the times with --time-unit: s, ms, us or ns",
    "bad_json": "write one JSON object a line, or name the right file",
    "bad_csv": FORMAT,
    "too_few_columns": FORMAT,
    "too_many_columns": FORMAT,
    "not_a_click": FORMAT,
    "not_utf8": "ids and times must be UTF-8",
}
"""What helps, by reason."""

ON_A_TOPIC = {
    "no_session": "name the field of the session with --session-column, or take it from the "
    "records' keys with --session-from key",
    "no_time": "name the field of the time with --time-column, or take the records' own times "
    "with --time-from record",
    "bad_json": "a record's value must be a JSON object: turn other formats into JSON, or name "
    "another topic",
    "tombstone": "a record's value must be a JSON object: name another topic",
}
"""What helps besides where the source is a topic."""

OTHERWISE = "write the records to a file with --dead-letters FILE and inspect them"


class Unusable:
    """Counts the records that cannot be used, and finds words for it where they are most.

    Parameters
    ----------
    unit
        That of the source's times.

    Examples
    --------
    >>> unusable = Unusable()
    >>> where = {"file": "a.jsonl", "line": 1}
    >>> bad = Rejected("no_item", "there is no 'item_id'", where, b"")
    >>> unusable.take(Clicks([], [], [], rejected=[bad] * 1000))
    >>> print(*unusable.notes())
    none of the 1,000 records read so far can be used. 1,000 of them: no_item, as in file a.jsonl, \
line 1: there is no 'item_id'; name the column or field of the item with --item-column

    """

    def __init__(self, unit: str = "s") -> None:
        self._unit = unit
        self._usable = self._filtered = 0
        self._reasons: Counter[str] = Counter()
        self._examples: dict[str, Rejected] = {}
        self._since = 0.0
        self._notes: list[str] = []

    def take(self, clicks: Clicks) -> None:
        """Count what was polled."""
        self._usable += len(clicks)
        for record in clicks.rejected:
            if record.reason == FILTERED:
                self._filtered += 1
                continue
            if not self._reasons:
                self._since = time.monotonic()
            self._reasons[record.reason] += 1
            self._examples.setdefault(record.reason, record)

    def notes(self) -> list[str]:
        """Return what a person should know of the records that cannot be used.

        Where times are in several units, a sentence says where the first of them is. Once it is
        plain, another says that no record or less than half of them can be used.
        """
        mixed = self._examples.get("mixed_time_units")
        first = [] if mixed is None else [f"{_place(mixed)}: {mixed.detail}; {self._remedy(mixed)}"]
        return first + self._most_unusable()

    def _most_unusable(self) -> list[str]:
        rejected = self._reasons.total()
        if not (self._notes or rejected or self._usable) and self._filtered >= AT_ONCE:
            remedy = "check its fields and values; texts stand in single quotes"
            self._notes = [f"--where has left out all {self._filtered:,} records so far: {remedy}"]
        if self._notes or not rejected or rejected < min(self._usable, AT_ONCE):
            return self._notes
        if time.monotonic() - self._since < PATIENCE and rejected < AT_ONCE:
            return []
        if not self._usable:
            self._notes = [
                f"none of the {rejected:,} records read so far can be used. {self.why()}"
            ]
        elif rejected > max(FEW, self._usable):
            every = rejected + self._usable
            self._notes = [
                f"{rejected:,} of the {every:,} records read so far cannot be used. {self.why()}"
            ]
        return self._notes

    def why(self) -> str:
        """Return what is most often wrong, an example and what helps; "" where nothing is wrong."""
        if not self._reasons:
            return ""
        ((reason, count),) = self._reasons.most_common(1)
        example = self._examples[reason]
        place = _place(example)
        remedy = self._remedy(example)
        how_many = f"{count:,} of them: " if self._reasons.total() > 1 else ""
        return f"{how_many}{reason}, as in {place}: {example.detail}; {remedy}"

    def _remedy(self, example: Rejected) -> str:
        if "the record has no key" in example.detail:
            return "key the records by session, or leave out --session-from key"
        if example.reason == "time_out_of_range" and (unit := self._unit_of(example.detail)):
            return f"the times look like {unit}: give --time-unit {unit}"
        known = {**REMEDIES, **ON_A_TOPIC} if "topic" in example.position else REMEDIES
        return known.get(example.reason, OTHERWISE)

    def _unit_of(self, detail: str) -> str | None:
        """Guess the unit that times are in, from the detail of one that is out of range."""
        found = re.search(r"the time (\S+) lies", detail)
        if found is None:
            return None
        number = float(found[1]) * UNITS[self._unit]
        units = (unit for unit, per in UNITS.items() if LATELY[0] <= number / per <= LATELY[1])
        return next(units, None)


def _place(record: Rejected) -> str:
    return ", ".join(f"{name} {value}" for name, value in record.position.items())
