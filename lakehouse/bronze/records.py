"""A landed CSV -> Arrow batches of its readable records, each with its position. All other records go to `reject`.

pyarrow's streaming reader reads one block at a time, so memory does not grow with the file. Records that are not UTF-8
or contain NUL never reach the reader: it would drop the whole block, and could not return the bytes as sent. Records
that are no data (not_data.py) are found in its batches; a second pass over such a file gets their bytes as sent.
"""

from __future__ import annotations

import io
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from lakehouse.bronze.not_data import NotData
from lakehouse.landing.manifest import DeliveredFile
from lakehouse.landing.quoting import CHUNK, count_fields, whole_records

WRONG_NUMBER_OF_FIELDS = "wrong number of fields"
NOT_UTF8 = "not UTF-8"
HOLDS_NUL = "holds a NUL byte"

# Called with a record's position, the reason, and the bytes as sent, without the newline. The calls are not in the
# file's order.
Reject = Callable[[int, str, bytes], None]
Positions = npt.NDArray[np.int64]


def read_records(
    open_file: Callable[[], AbstractContextManager[BinaryIO]],
    file: DeliveredFile,
    reject: Reject,
    block_size: int = CHUNK,
) -> Iterator[tuple[pa.RecordBatch, Positions]]:
    """The readable records of a file that landing accepted, in order, as strings under `file.columns`.

    `open_file` opens the uncompressed bytes at their start. Positions count all records of the file, from 1.
    """
    numbering, not_data = Numbering(), NotData(file.columns)
    positions_left_out, reasons = array("q"), list[str]()
    with open_file() as stream:
        for batch in _parsed(stream, file, numbering, reject, block_size):
            positions = numbering.take(batch.num_rows)
            if found := not_data.find(batch):
                positions_left_out.extend(positions[list(found)].tolist())
                reasons.extend(found.values())
                is_data = np.ones(batch.num_rows, dtype=bool)
                is_data[list(found)] = False
                batch, positions = batch.filter(pa.array(is_data.tolist(), pa.bool_())), positions[is_data]
            if batch.num_rows:
                yield batch, positions
    if reasons:
        with open_file() as stream:
            records = _as_sent(stream, file, positions_left_out)
            # Fewer records than positions, in a file that was changed in landing: the caller's counts then differ.
            for position, reason, record in zip(positions_left_out, reasons, records, strict=False):
                reject(position, reason, record)


def _parsed(
    stream: BinaryIO, file: DeliveredFile, numbering: Numbering, reject: Reject, block_size: int
) -> Iterator[pa.RecordBatch]:
    """The parser's batches that have rows."""
    _skip(stream, file.data_starts)
    is_clean = file.is_utf8 and not file.has_nul
    pieces = _chunks(stream) if is_clean else _keep_readable(stream, len(file.columns), numbering, reject)
    header = ",".join(file.columns).encode() + b"\n"
    # The parser fails on a record longer than a block. One byte more, since a block may end before a carriage return.
    block_size = max(block_size, len(header), file.longest_record) + 1
    data = _Blocks(chain([header], pieces))

    def skip_wrong_length(row: pa.csv.InvalidRow) -> str:
        position = numbering.skip(row.number - 1)  # the parser counts the header, but no blank lines
        reject(position, WRONG_NUMBER_OF_FIELDS, row.text.encode())
        return "skip"

    reader = pa.csv.open_csv(
        data,
        read_options=pa.csv.ReadOptions(use_threads=False, block_size=block_size),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip_wrong_length),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(file.columns, pa.string()), strings_can_be_null=False, check_utf8=False
        ),
    )
    yield from (batch for batch in reader if batch.num_rows)


class Numbering:
    """The position in the file of each row that the parser returns.

    The positions differ from the parser's own count: some records are removed before the parser, which skips others.
    """

    def __init__(self) -> None:
        self._next = 1
        self._pending: list[int] = []  # positions from _next on that are not the parser's rows
        # p - i for the i-th removed record (from 0) at position p. The values never fall, so a binary search counts the
        # records removed earlier.
        self._shifts = array("q")

    def remove(self, position: int) -> None:
        """Note a record that the parser never sees. Called in the order of the file."""
        self._shifts.append(position - len(self._shifts))
        self._pending.append(position)

    def skip(self, number: int) -> int:
        """Note that the parser skips the `number`-th record it sees, from 1. Returns its position in the file."""
        position = number + bisect_right(self._shifts, number)
        self._pending.append(position)
        return position

    def take(self, rows: int) -> Positions:
        """The positions of the parser's next rows."""
        passed = np.sort(np.array(self._pending, dtype=np.int64))
        last = self._next + rows - 1
        last += int(np.searchsorted(passed - np.arange(passed.size), last, side="right"))
        positions = np.arange(self._next, last + 1, dtype=np.int64)
        between = passed[passed <= last]
        self._next = last + 1
        self._pending = passed[between.size :].tolist()
        return np.delete(positions, between - positions[0]) if between.size else positions


def _keep_readable(stream: BinaryIO, fields: int, numbering: Numbering, reject: Reject) -> Iterator[bytes]:
    """The stream's bytes without unreadable records and blank lines."""
    position = 0
    for data, ends in whole_records(stream):
        kept = []
        start = 0
        for end in ends:
            record = data[start:end]
            start = end
            content = record.removesuffix(b"\n").removesuffix(b"\r")
            if not content:
                continue
            position += 1
            if reason := _unreadable(content):
                numbering.remove(position)
                reject(position, reason if count_fields(content) == fields else WRONG_NUMBER_OF_FIELDS, content)
            else:
                kept.append(record)
        yield b"".join(kept)


def _as_sent(stream: BinaryIO, file: DeliveredFile, positions: Sequence[int]) -> Iterator[bytes]:
    """The bytes of the records at these positions, which ascend, without their newlines."""
    _skip(stream, file.data_starts)
    wanted = iter(positions)
    next_one = next(wanted, None)
    position = 0
    for data, ends in whole_records(stream):
        start = 0
        for end in ends:
            content = data[start:end].removesuffix(b"\n").removesuffix(b"\r")
            start = end
            position += bool(content)
            if content and position == next_one:
                yield content
                next_one = next(wanted, None)
                if next_one is None:
                    return


def _unreadable(content: bytes) -> str | None:
    try:
        content.decode()
    except UnicodeDecodeError:
        return NOT_UTF8
    return HOLDS_NUL if b"\0" in content else None


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk


def _skip(stream: BinaryIO, count: int) -> None:
    while count > 0 and (skipped := stream.read(min(count, CHUNK))):
        count -= len(skipped)


class _Blocks(io.RawIOBase):
    """Pieces of bytes as one stream, which the parser reads block by block.

    A read returns as many bytes as requested, since a short read would make a short block. Only the last block may end
    with a carriage return: pyarrow 26 drops a line feed at the start of the next block, even within quotes.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = bytearray()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) <= size or size < 0:
            piece = next(self._pieces, None)
            if piece is None:
                size = len(self._rest)
                break
            self._rest += piece
        if 1 < size < len(self._rest) and self._rest[size - 1 : size] == b"\r":
            size -= 1
        block = bytes(self._rest[:size])
        del self._rest[:size]
        return block
