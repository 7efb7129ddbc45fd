"""Kafka's record batches to records, several times as fast as kafka-python does it."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import zstandard
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError, UnsupportedCodecError
from numpy.typing import NDArray

from ..source import SourceError

MANY = 30
"""Records of a batch from which on reading by the column is the faster way."""

LARGE = 16 << 20
"""Bytes of a batch from which on its records are read one at a time: by the column all of them
would be held at once."""

MOST_BYTES = 256 << 20
"""Bytes of a batch, decompressed, at most."""

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

    """

    def __init__(self, partition: int, offset: int, why: str, guesses: Sequence[int] = ()) -> None:
        super().__init__(why)
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


def install_fast_decoder(consumer: Any) -> None:
    """Have a consumer give `Record` in place of kafka-python's own records."""
    consumer._fetcher.PartitionRecords = PartitionRecords


def requeue_paused_records(consumer: Any) -> None:
    """Have a consumer's next poll give what it has of a partition that was paused and resumed.

    kafka-python 3.0 parks such records, and takes them up again only if it has no others at
    hand: not if those are used up, and not if they are of a paused partition. It would wait for
    new ones, for ever if there are none.
    """
    fetcher = consumer._fetcher
    at_hand = fetcher._next_partition_records
    if at_hand and at_hand.topic_partition in consumer.paused():
        fetcher._paused_partition_records[at_hand.topic_partition] = at_hand
        at_hand = None
    if not at_hand:
        fetcher._next_partition_records = None


class PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of one fetch of one partition, for kafka-python's fetcher.

    Only the way from bytes to records is replaced: fetching, positions and transactions stay
    with kafka-python.
    """

    def __init__(self, fetch_offset: int, tp: Any, records: Any, **more: Any) -> None:
        super().__init__(fetch_offset, tp, records, **more)
        if records.size_in_bytes() and not records.has_next():
            raise DamagedBatchError(tp.partition, fetch_offset, "a length in them is wrong")

    def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Iterator[Record]:
        while records.has_next():
            batch: Any = None
            try:
                batch = records.next_batch()
                skipped, unpacked = self._unpack(tp.partition, batch)
            except (UnsupportedCodecError, SourceError):
                raise
            except Exception as error:
                raise self._damage(tp.partition, batch, records, error) from error
            if not skipped:
                yield from unpacked
            if batch.magic == 2:
                # The batch may end with records that compaction has removed.
                self.next_fetch_offset = batch.next_offset
        self.drain()

    def _unpack(self, partition: int, batch: Any) -> tuple[bool, Iterator[Record]]:
        """Check a batch, and read its records, unless it has none that may be read."""
        if batch.magic not in (0, 1, 2):
            raise CorruptRecordError(f"its format is unknown ({batch.magic})")
        if self.check_crcs and not batch.validate_crc():
            raise CorruptRecordError("they do not have their checksum")
        if batch.magic == 2 and batch.next_offset <= self.next_fetch_offset:
            # The checksum is not over the offset.
            raise CorruptRecordError(f"they stand at offset {batch.base_offset}")
        if batch.magic == 2 and self._skipped(batch):
            return True, iter(())
        if batch.magic == 2:
            decompress(batch, f"partition {partition}")
        many = batch.magic == 2 and batch.records_count >= MANY
        return False, parse(batch) if many else iter(list(one_by_one(batch)))

    def _damage(
        self, partition: int, batch: Any, records: Any, error: Exception
    ) -> DamagedBatchError:
        """Return an error that names the records that cannot be read, up to the next batch."""
        offset = self.next_fetch_offset
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
        why = str(error.args[0]) if error.args else type(error).__name__
        return DamagedBatchError(partition, offset, why, guesses)

    def take(self, n: int | None = None) -> list[Record]:
        """Give the next n records; to be fetched next is what comes after the last of them."""
        try:
            records: list[Record] = super().take(n)
        except DamagedBatchError:
            # Else kafka-python would ask this for more, for ever.
            self.drain()
            raise
        if records:
            self.next_fetch_offset = max(self.next_fetch_offset, records[-1].offset + 1)
        return records

    def _skipped(self, batch: Any) -> bool:
        """Say whether a batch holds a transaction's marker, or records of an aborted one."""
        if batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
        if batch.is_control_batch:
            if batch.has_producer_id() and self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            return True
        return bool(self._is_batch_aborted(batch))


def decompress(batch: Any, where: str) -> None:
    """Decompress a batch, but no more of it than fits into memory.

    kafka-python has no bound: a batch of 1 MB can become 30 GB. The other codecs, snappy and lz4,
    make far less of it, and are left to kafka-python.

    Parameters
    ----------
    batch
        The batch.
    where
        Its partition, for the message.

    Raises
    ------
    SourceError
        The batch is too large.

    """
    readers = {batch.CODEC_GZIP: _gzip_reader, batch.CODEC_ZSTD: _zstd_reader}
    reader = readers.get(batch.compression_type)
    if reader is None or batch._decompressed:
        return
    pieces = bytearray()
    with reader(bytes(memoryview(batch._buffer)[batch._pos :])) as stream:
        while piece := stream.read(PIECE):
            pieces += piece
            if len(pieces) > MOST_BYTES:
                raise SourceError(
                    f"{where}: the records from offset {batch.base_offset} to "
                    f"{batch.last_offset} are one batch of more than {MOST_BYTES >> 20} MiB when "
                    f"decompressed, too large to be read: have smaller batches written; to go on "
                    f"behind it, delete the records before offset {batch.last_offset + 1} with "
                    f"kafka-delete-records.sh and give --on-missing-offsets earliest"
                )
    batch._buffer, batch._pos, batch._decompressed = pieces, 0, True


def _gzip_reader(data: bytes) -> Any:
    return gzip.GzipFile(fileobj=io.BytesIO(data))


def _zstd_reader(data: bytes) -> Any:
    return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)


def one_by_one(batch: Any) -> Iterator[Record]:
    """Give the records of a small batch, or of one in Kafka's older formats."""
    for one in batch:
        moment = -1 if one.timestamp is None else one.timestamp
        yield Record(one.offset, moment, one.key, one.value, -1, one.headers)


def parse(batch: Any) -> Iterator[Record]:
    """Give the records of a batch of Kafka's second format.

    Each record begins with its length. Once that is read of all, the other numbers are read by
    the column: as many at once as there are records.

    Raises
    ------
    CorruptRecordError
        The batch is not what its lengths say.

    """
    batch._maybe_uncompress()
    if len(batch._buffer) - batch._pos > LARGE:
        return one_by_one(batch)
    data = bytes(memoryview(batch._buffer)[batch._pos :])
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
    """Give where each record begins, after its length, and ends."""
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
    """Read a number at each place; give them and the places after.

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
