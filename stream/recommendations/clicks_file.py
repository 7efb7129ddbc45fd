"""A Parquet file of every learned click: how each model ranked it, and what it listed before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nextclick.connectors import Id, SinkError
from nextclick.models import BatchResult

from ..output_files import whole_file
from ..pending_clicks import PendingClicks

ROWS = 1 << 16
"""Clicks in a part at most."""

VALUES = 1 << 21
"""Ranks, items and scores in a part at most, about: they are held until it is written."""

PLACES = {"topic": pa.string(), "partition": pa.int32(), "offset": pa.int64(), "part": pa.int32()}
"""What the place of a click in its topic is made of."""

_PART = re.compile(r"\d{12}\.parquet")


class ClicksFile:
    """A file with a row for each click that was learned, written in parts as the stream goes on.

    Parts are whole Parquet files in the folder ``FILE.parts``, so a killed run leaves those. When
    the file is closed it is made of them in one step, and they are removed. A part ends where a
    snapshot is taken: a run that goes on from there drops what came after.

    The columns are ``click`` (its place in the stream, from 1 on), ``session``, ``item`` and
    ``time``; of a topic, the place of the record; and for each model ``rank_NAME``, ``items_NAME``
    and ``scores_NAME``. Ids are whole numbers where all of them are, else texts. With a protocol
    there is ``counts``: whether the click counts, if its session is long enough.

    Parameters
    ----------
    path
        The file.
    models
        The names of the models.
    k
        How many items of each list to write; with 0 there are no lists.
    resume_at
        How many rows had been written when the run's snapshot was taken; None starts a new file.
    results
        Returns the results of all models for the batch learned last; None: there is one model.

    Attributes
    ----------
    name
        The file's absolute path.
    full
        False: a file needs no snapshot before it takes more.

    Raises
    ------
    SinkError
        The file cannot be written, or does not hold the rows to go on from.

    """

    def __init__(
        self,
        path: str | Path,
        models: Sequence[str],
        k: int = 0,
        resume_at: int | None = None,
        results: Callable[[], Sequence[BatchResult]] | None = None,
    ) -> None:
        self._path = Path(path)
        self.name = str(self._path.resolve())
        self.full = False
        self.k = k
        self._models, self._results = list(models), results
        self._folder = self._path.with_name(f"{self._path.name}.parts")
        self._waiting: list[Any] = []
        self._held, self._written = 0, 0
        self._most = max(1, min(ROWS, VALUES // (len(models) * (1 + 2 * k))))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._written = self._resume(resume_at or 0)
        except (OSError, pa.ArrowException) as error:
            raise self._failed(error) from error

    def take(
        self,
        clicks: PendingClicks,
        before: int,
        tested: BatchResult,
        counts: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take a batch that was learned.

        Parameters
        ----------
        clicks
            The batch.
        before
            How many clicks the stream had before it.
        tested
            How the engine's model scored its clicks on time.
        counts
            Which of these count in the figures; None: those that were scored.

        Raises
        ------
        SinkError
            They cannot be written, as on a full disk.

        """
        on_time = clicks.on_time
        if not len(on_time):
            return
        places = on_time.tolist()
        columns: dict[str, Any] = {
            "click": pa.array(before + 1 + on_time),
            "session": ids([clicks.sessions[at] for at in places]),
            "item": ids([clicks.items[at] for at in places]),
            "time": pa.array(clicks.times_on_time),
        }
        if counts is not None:
            columns["counts"] = pa.array(counts)
        where = [clicks.places[at] for at in places]
        if any(where):
            for name, kind in PLACES.items():
                columns[name] = pa.array([(one or {}).get(name) for one in where], kind)
        results = [tested] if self._results is None else self._results()
        for model, result in zip(self._models, results, strict=True):
            columns[f"rank_{model}"] = pa.array(result.ranks, mask=~result.scored)
            if self.k:
                lists = [
                    best[: self.k] if scored else None
                    for best, scored in zip(result.recommended, result.scored, strict=True)
                ]
                columns[f"items_{model}"] = _listed(
                    lists, ids([item for best in lists if best for item, _ in best])
                )
                columns[f"scores_{model}"] = _listed(
                    lists,
                    pa.array([score for best in lists if best for _, score in best], pa.float64()),
                )
        self._waiting.append(pa.table(columns))
        self._held += len(places)
        if self._held >= self._most:
            self.flush()

    def write(self, record: Any) -> None:
        """Do nothing: clicks come by the batch, see `take`."""

    def flush(self) -> None:
        """Write what is held as a part.

        Raises
        ------
        SinkError
            It cannot be written, as on a full disk.

        """
        if not self._held:
            return
        try:
            self._write_part(joined(self._waiting))
        except (OSError, pa.ArrowException) as error:
            raise self._failed(error) from error
        self._waiting.clear()
        self._held = 0

    def sync(self) -> int:
        """Make all rows durable; return how many there are."""
        self.flush()
        return self._written

    def commit(self, length: int) -> None:
        """Do nothing: what was written after a snapshot is dropped when a run goes on from it."""

    def close(self) -> None:
        """Write what is left, make the file of its parts, and remove them."""
        self.flush()
        try:
            parts = self._parts()
            tables = (pq.read_table(part) for part in parts)
            _write(self._path, tables, one_schema([pq.read_schema(part) for part in parts]))
            self._clear(parts)
            if not any(self._folder.iterdir()):
                self._folder.rmdir()
        except (OSError, pa.ArrowException) as error:
            raise self._failed(error) from error

    def _parts(self) -> list[Path]:
        return sorted(each for each in self._folder.iterdir() if _PART.fullmatch(each.name))

    def _clear(self, parts: Sequence[Path]) -> None:
        for part in parts:
            part.unlink()

    def _write_part(self, table: Any) -> None:
        _write(self._folder / f"{self._written:012}.parquet", iter([table]), table.schema)
        self._written += len(table)

    def _resume(self, rows: int) -> int:
        """Go back to where the file had this many rows; return them."""
        parts, found = self._parts(), 0
        for at, part in enumerate(parts):
            more = pq.read_metadata(part).num_rows
            if int(part.stem) != found or found + more > rows:
                self._clear(parts[at:])
                break
            found += more
        if found == rows:
            return rows
        held = pq.read_metadata(self._path).num_rows if self._path.exists() else found
        if held < rows:
            raise SinkError(
                f"{self._path} has {held:,} rows, and {rows:,} had been written when the snapshot "
                "was taken: restore the file, or start over with --fresh"
            )
        self._clear(self._parts())
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(self._most):
                if self._written < rows:
                    self._write_part(pa.table(batch)[: rows - self._written])
        return self._written

    def _failed(self, error: Exception) -> SinkError:
        why = getattr(error, "strerror", None) or error
        return SinkError(f"--clicks {self._path} cannot be written: {why}")


def ids(values: Sequence[Id]) -> Any:
    """Return ids as a column: of whole numbers where all of them are, else of texts.

    Examples
    --------
    >>> ids([7, 8]).type, ids([7, "hat"]).to_pylist()
    (DataType(int64), ['7', 'hat'])

    """
    if set(map(type, values)) <= {int}:
        try:
            return pa.array(values, pa.int64())
        except (OverflowError, pa.ArrowException):
            pass
    return pa.array(list(map(str, values)), pa.string())


def _listed(lists: Sequence[Sequence[Any] | None], values: Any) -> Any:
    """Return values as a column of lists that are as long as these; None where there is none."""
    ends = np.cumsum([0, *(len(best or ()) for best in lists)])
    missing = np.array([best is None for best in lists] + [False])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32(), mask=missing), values)


def one_schema(schemas: Sequence[Any]) -> Any:
    """Return the schema that tables with these can have: of texts where ids are texts in one."""
    fields: dict[str, Any] = {}
    for schema in schemas:
        for field in schema:
            kept = fields.get(field.name)
            if kept is None or "string" in str(field.type):
                fields[field.name] = field.type
    # A table without rows has nothing to say of its columns but these.
    return pa.schema(fields or {"click": pa.int64()})


def joined(tables: Sequence[Any]) -> Any:
    """Return tables as one, with the columns of all."""
    schema = one_schema([table.schema for table in tables])
    return pa.concat_tables([fitted(table, schema) for table in tables]).combine_chunks()


def fitted(table: Any, schema: Any) -> Any:
    """Return a table with the columns of a schema; those that it lacks are null."""
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.schema.names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _write(path: Path, tables: Iterator[Any], schema: Any) -> None:
    """Write tables into one file, in row groups that are no smaller than they need be."""
    with whole_file(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        waiting: list[Any] = []
        for table in tables:
            waiting.append(fitted(table, schema))
            if sum(map(len, waiting)) >= ROWS or sum(one.nbytes for one in waiting) >= 8 * VALUES:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
