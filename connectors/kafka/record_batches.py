"""Kafka's record batches to records, several times as fast as kafka-python does it."""

from __future__ import annotations

import gzip
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import zstandard
from kafka.errors import CorruptRecordError
from numpy.typing import NDArray

POLLED_BYTES = 16 << 20
"""Bytes of the records of one poll, about; the number asked for follows from the last poll."""

PIECE = 256 << 10
"""Bytes that are decompressed at a time."""


NUMBERED = np.frombuffer(b"\x02\x10sequence\x10", np.uint8)
"""One header, named ``sequence``, with a value of eight bytes: so begin the headers of a record
that `replay` has numbered."""


class Record(NamedTuple):
    """One record.

    Parameters
    ----------
    offset, timestamp
        The timestamp is in milliseconds, -1 where there is none.
    key, value
        As they were published.
    sequence
        What the only header holds where that is a number called ``sequence``, and it has been read;
        else -1.
    headers
        All others.

    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    sequence: int
    headers: Sequence[tuple[str, bytes | None]]


class DamagedBatchError(CorruptRecordError):  # type: ignore[misc]
    """A batch of records cannot be read.

    Parameters
    ----------
    partition
        Where it is.
    offset
        The first of its records that was to be read.
    why
        What is wrong with it.
    guesses
        What may be the offset after it, the likeliest first: its own numbers may be damaged too.
    topic
        That of the partition.

    """

    def __init__(
        self, partition: int, offset: int, why: str, guesses: Sequence[int] = (), topic: str = ""
    ) -> None:
        super().__init__(why)
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.why = why
        self.guesses = guesses

    def after(self, end: int) -> int:
        """Return where to read on without it, at the least one offset on.

        Parameters
        ----------
        end
            The offset after the newest record of its partition.

        """
        likely = (guess for guess in self.guesses if self.offset < guess <= end)
        return next(likely, self.offset + 1)


def damaged_batch(place: Any, offset: int, batch: Any, records: Any, why: str) -> DamagedBatchError:
    """Return an error that names the records that cannot be read, up to the next batch.

    Parameters
    ----------
    place
        Their topic and partition, as kafka-python names both.
    offset
        The first that was to be read.
    batch
        Theirs, None where it could not be found.
    records
        The batches that follow.
    why
        What is wrong.

    """
    guesses: list[int] = []
    if batch is not None:
        offset = max(offset, batch.base_offset)
        if batch.magic == 2:
            spans = batch.last_offset_delta + 1, batch.records_count
            guesses = [batch.next_offset, *(offset + span for span in spans)]
    try:
        following = records.next_batch()
    except CorruptRecordError:
        following = None
    if following is not None:
        guesses.insert(0, following.base_offset)
    return DamagedBatchError(place.partition, offset, why, guesses, place.topic)


def as_record(one: Any) -> Record:
    """Return one of kafka-python's records as a `Record`."""
    moment = -1 if one.timestamp is None else one.timestamp
    return Record(one.offset, moment, one.key, one.value, -1, one.headers)


def decompress_bounded(data: bytes, codec: str, most: int) -> bytearray | None:
    """Decompress the records of a batch; None where they are too large.

    Parameters
    ----------
    data
        The compressed bytes.
    codec
        ``gzip`` or ``zstd``.
    most
        Bytes that they may have.

    """
    pieces = bytearray()
    with READERS[codec](data) as stream:
        while piece := stream.read(PIECE):
            pieces += piece
            if len(pieces) > most:
                return None
    return pieces


def _gzip_reader(data: bytes) -> Any:
    return gzip.GzipFile(fileobj=io.BytesIO(data))


def _zstd_reader(data: bytes) -> Any:
    return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)


READERS = {"gzip": _gzip_reader, "zstd": _zstd_reader}


def parse_columns(batch: Any, data: bytes) -> Iterator[Record]:
    """Return the records of a batch of Kafka's second format.

    Each record begins with its length. Once that is read of all, the other numbers are read by
    the column: as many at once as there are records.

    Parameters
    ----------
    batch
        kafka-python's, for the numbers of its header.
    data
        Its records, decompressed.

    Raises
    ------
    CorruptRecordError
        The batch is not what its lengths say.

    """
    try:
        return _columns(batch, data)
    except (IndexError, UnicodeDecodeError, OverflowError) as error:
        raise _damaged(batch, str(error)) from error


def _columns(batch: Any, data: bytes) -> Iterator[Record]:
    begins, ends = _records(data, batch.records_count)
    if (ends < begins).any() or (ends[-1] if len(ends) else 0) != len(data):
        raise _damaged(batch, "they are shorter or longer than their lengths say")
    array = np.frombuffer(data, dtype=np.uint8)
    times, at = _numbers(array, begins + 1)  # The byte before holds attributes without use.
    offsets, at = _numbers(array, at)
    keys, at = _bytes(data, array, at)
    values, at = _bytes(data, array, at)
    headers: Iterable[Sequence[tuple[str, bytes | None]]]
    sequences = _sequences(array, at, ends)
    if sequences is None:
        sequences = np.full(len(begins), -1)
        headers = _headers(data, array, at)
        if (at != ends).any():
            raise _damaged(batch, "a record is shorter or longer than its length says")
    else:
        headers = repeat((), len(begins))
    moments = batch.first_timestamp + times
    if batch.timestamp_type:  # The time at which the broker took them.
        moments[:] = batch.max_timestamp
    return map(
        Record,
        (batch.base_offset + offsets).tolist(),
        moments.tolist(),
        keys,
        values,
        sequences.tolist(),
        headers,
    )


def _sequences(
    array: NDArray[np.uint8], at: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Read the numbers of records that have been numbered, from 0; None where one has not."""
    length = len(NUMBERED) + 8
    if not (ends - at == length).all():
        return None
    headers = array[at[:, None] + np.arange(length)]
    if not (headers[:, : len(NUMBERED)] == NUMBERED).all():
        return None
    numbers: NDArray[np.int64] = headers[:, len(NUMBERED) :].copy().view(">i8")[:, 0].astype(int)
    return numbers if numbers.min(initial=0) >= 0 else None


def _headers(
    data: bytes, array: NDArray[np.uint8], at: NDArray[np.int64]
) -> list[list[tuple[str, bytes | None]]]:
    """Read the headers at each place, and move the places past them."""
    counts, at[:] = _numbers(array, at)
    headers: list[list[tuple[str, bytes | None]]] = [[] for _ in at]
    for number in range(int(counts.max(initial=0))):
        having = np.flatnonzero(counts > number)
        names, after = _bytes(data, array, at[having])
        contents, at[having] = _bytes(data, array, after)
        for record, name, content in zip(having.tolist(), names, contents, strict=True):
            headers[record].append(((name or b"").decode(), content))
    return headers


def _damaged(batch: Any, how: str) -> CorruptRecordError:
    return CorruptRecordError(f"the records from offset {batch.base_offset} on are damaged: {how}")


def _records(data: bytes, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each record begins, after its length, and ends."""
    begins, ends = [], []
    at = 0
    for _ in range(count):
        byte = data[at]
        at += 1
        bits, shift = byte & 0x7F, 7
        while byte >= 0x80:
            byte = data[at]
            at += 1
            bits |= (byte & 0x7F) << shift
            shift += 7
        begins.append(at)
        at += (bits >> 1) ^ -(bits & 1)
        ends.append(at)
    return np.array(begins, dtype=np.int64), np.array(ends, dtype=np.int64)


def _numbers(
    array: NDArray[np.uint8], at: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Read a number at each place; return them and the places after.

    A number has seven bits a byte, the lowest first; of all its bits the lowest is the sign.
    """
    byte = array[at]
    bits = (byte & 0x7F).astype(np.uint64)
    after = at + 1
    more = np.flatnonzero(byte >= 0x80)
    shift = np.uint64(7)
    while len(more):
        byte = array[after[more]]
        bits[more] |= (byte & 0x7F).astype(np.uint64) << shift
        after[more] += 1
        more = more[byte >= 0x80]
        shift += np.uint64(7)
    sign = (bits & np.uint64(1)).astype(np.int64)
    return (bits >> np.uint64(1)).astype(np.int64) ^ -sign, after


def _bytes(
    data: bytes, array: NDArray[np.uint8], at: NDArray[np.int64]
) -> tuple[list[bytes | None], NDArray[np.int64]]:
    """Read bytes, a size before them, at each place; a size below 0 means that there are none."""
    sizes, begins = _numbers(array, at)
    ends = begins + np.maximum(sizes, 0)
    if (ends > len(data)).any():
        raise IndexError("a size points past the end")
    read: list[bytes | None] = [
        data[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    ]
    for missing in np.flatnonzero(sizes < 0).tolist():
        read[missing] = None
    return read, ends


def poll_size(fetched: Collection[list[Any]], most: int) -> int:
    """Return how many records to ask for in the next poll, judged by a sample of the last."""
    sample = [record for records in fetched for record in records[::16]]
    size = sum(len(record.value or b"") + len(record.key or b"") for record in sample)
    return max(1, min(most, POLLED_BYTES * len(sample) // max(size, 1)))
