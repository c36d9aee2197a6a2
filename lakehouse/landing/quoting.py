"""Bytes of a CSV file -> what landing must know about them: broken quoting, records, longest record, odd bytes.

This takes one vectorised pass in constant memory. It is stricter than the parsers, which silently turn `"oops` and the
lines after it into one value. A quote opens after a comma, a newline or the start, and closes before a comma, a newline
or the end. A close immediately followed by an open is one doubled quote. A newline is LF or CRLF. A blank line is no
record.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

# The parser of bronze needs a block longer than the longest record, so this limit bounds its memory.
LONGEST_RECORD = 16 * 1024 * 1024
CHUNK = 1024 * 1024
# So many faults of a file are named, and so many are counted.
MOST_NAMED, MOST_COUNTED = 10, 1000

_QUOTE, _COMMA, _LF, _CR = b'",\n\r'
_MAY_STAND_BEFORE_OPENING = np.zeros(256, dtype=bool)
_MAY_STAND_BEFORE_OPENING[[_COMMA, _LF, _QUOTE]] = True
_MAY_FOLLOW_CLOSING = np.zeros(256, dtype=bool)
_MAY_FOLLOW_CLOSING[[_COMMA, _LF, _CR, _QUOTE]] = True

Positions = npt.NDArray[np.intp]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Findings:
    """What a file consists of. `size` and `sha256` refer to all its bytes. `records` counts those after the header.

    `header` is the first record without BOM and newline, empty if there is none. `data_starts` is the offset after its
    newline. `longest_record` is in bytes, newline included. If there are faults, the counts mean nothing. `ends_open`:
    the last record has no newline.
    """

    size: int
    sha256: str
    header: bytes
    data_starts: int
    records: int
    longest_record: int
    is_utf8: bool
    has_nul: bool
    faults: tuple[str, ...]
    ends_open: bool = False


def scan(stream: BinaryIO, chunk_size: int = CHUNK) -> Findings:
    """Read a file to its end, once. Read errors are not caught."""
    scanner = _Scanner()
    while chunk := stream.read(chunk_size):
        scanner.feed(chunk)
    return scanner.finish()


def whole_records(stream: BinaryIO, chunk_size: int = CHUNK) -> Iterator[tuple[bytes, list[int]]]:
    """Split a stream between records. Yields bytes, and where each record in these bytes ends.

    `scan` must have found no fault in the stream. A record includes its newline. The ends of blank lines count, too.
    """
    rest = b""
    while chunk := stream.read(chunk_size):
        data = rest + chunk
        ends = newlines_outside_quotes(np.frombuffer(data, np.uint8), 0) + 1
        if ends.size:
            yield data[: ends[-1]], ends.tolist()
            rest = data[ends[-1] :]
        else:
            rest = data
    if rest:
        yield rest, [len(rest)]


def count_fields(record: bytes) -> int:
    """The number of fields in one record, which is given without its newline."""
    data = np.frombuffer(record, np.uint8)
    return int(_outside(np.flatnonzero(data == _COMMA), np.flatnonzero(data == _QUOTE), 0).size) + 1


def newlines_outside_quotes(data: Bytes, quotes_before: int) -> Positions:
    """Where records end in a part of a file. `quotes_before`: how many quotes precede the part."""
    return _outside(np.flatnonzero(data == _LF), np.flatnonzero(data == _QUOTE), quotes_before)


def _outside(positions: Positions, quotes: Positions, quotes_before: int) -> Positions:
    if not quotes.size:
        return positions[:0] if quotes_before % 2 else positions
    outside: Positions = positions[(np.searchsorted(quotes, positions) + quotes_before) % 2 == 0]
    return outside


class _Scanner:
    """The pass itself. It looks at every byte together with its neighbours, so the last byte of a chunk must wait."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._size = 0
        self._is_utf8 = True
        self._has_nul = False
        self._faults: list[str] = []
        self._faults_found = 0
        self._is_skipping = False
        self._is_too_long = False
        self._waiting = b""
        self._start = 0  # offset after the BOM
        self._offset = 0  # of the first waiting byte
        self._before = _LF  # the byte before it: the start of a file counts as the start of a line
        self._quotes = 0
        self._lines = 0
        self._opened_on_line = 0
        self._last_end = -1  # offset of the newline of the record before
        self._records = 0
        self._longest = 0
        self._head = b""  # all bytes from the start, until the header is found
        self._header: bytes | None = None
        self._data_starts = 0

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        self._sha256.update(chunk)
        self._has_nul = self._has_nul or 0 in chunk
        self._check_utf8(chunk)
        data = self._waiting + chunk
        if self._offset == 0:
            if len(data) < 4:
                self._waiting = data
                return
            data = self._without_bom(data)
        self._look_at(data)

    def finish(self) -> Findings:
        self._check_utf8(b"", final=True)
        data = self._waiting
        if self._offset == 0:
            data = self._without_bom(data)
        # The added newline ends the last record. If the file ends with a newline, this adds a blank line, which is no
        # record.
        self._look_at(data + b"\n\n")
        if self._quotes % 2:
            self._note(f"the quote that opens on line {self._opened_on_line} is never closed")
        elif data.endswith(b"\r"):
            self._note_lone_cr(self._lines)
        if (more := self._faults_found - len(self._faults)) > 0:
            many = "and many" if self._faults_found > MOST_COUNTED else f"and {more}"
            self._faults.append(f"{many} more faults of this kind, of which some may follow from those before")
        if self._header is None and not self._faults:
            self._header, self._data_starts = b"", self._size
        return Findings(
            size=self._size,
            sha256=self._sha256.hexdigest(),
            header=self._header or b"",
            data_starts=min(self._data_starts, self._size),
            records=max(self._records - 1, 0),
            longest_record=self._longest,
            is_utf8=self._is_utf8,
            has_nul=self._has_nul,
            faults=tuple(self._faults),
            ends_open=bool(data) and not data.endswith(b"\n"),
        )

    def _without_bom(self, data: bytes) -> bytes:
        if data.startswith(codecs.BOM_UTF8):
            self._start, self._offset, self._last_end, data = 3, 3, 2, data[3:]
        return data

    def _check_utf8(self, chunk: bytes, final: bool = False) -> None:
        if self._is_utf8 and (final or not chunk.isascii() or self._utf8.getstate()[0]):
            try:
                self._utf8.decode(chunk, final)
            except UnicodeDecodeError:
                self._is_utf8 = False

    def _look_at(self, data: bytes) -> None:
        """Check all bytes but the last, which waits for its neighbour.

        The rest of a line with a broken quote is skipped: what it says of the next line is unknown, so that one begins
        outside of quotes again.
        """
        while True:
            self._waiting = data[-1:]
            if len(data) < 2 or self._faults_found > MOST_COUNTED:
                return
            if self._is_skipping:
                data = self._skip_line(data)
                continue
            wrong = self._wrong_quote(data)
            if wrong is None:
                self._take(data)
                return
            position, fault = wrong
            self._take(data[: position + 1])
            self._note(fault)
            self._header = b"" if self._header is None else self._header
            self._is_skipping = True
            data = data[position:]

    def _skip_line(self, data: bytes) -> bytes:
        """Skip to the end of the line; return the rest."""
        end = data.find(b"\n", 0, len(data) - 1)
        skipped = len(data) - 1 if end < 0 else end + 1
        self._offset += skipped
        self._before = data[skipped - 1]
        if end >= 0:
            self._is_skipping = False
            self._lines += 1
            self._quotes = 0
            self._last_end = self._offset - 1
        return data[skipped:]

    def _take(self, data: bytes) -> None:
        """Count what is sound in these bytes, but for the last byte."""
        if len(data) < 2:
            return
        here = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(here[:-1] == _QUOTE)
        newlines = np.flatnonzero(here[:-1] == _LF)
        if b"\r" in data:
            self._check_crs(here, quotes, newlines)
        self._count_records(data, here, _outside(newlines, quotes, self._quotes))
        self._quotes += quotes.size
        self._lines += newlines.size
        self._offset += len(data) - 1
        self._before = data[-2]

    def _wrong_quote(self, data: bytes) -> tuple[int, str] | None:
        """The position of the first quote that stands where none may, and the fault; None if all may."""
        here = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(here[:-1] == _QUOTE)
        if not quotes.size:
            return None
        newlines = np.flatnonzero(here[:-1] == _LF)
        first_opening = self._quotes % 2
        opening, closing = quotes[first_opening::2], quotes[1 - first_opening :: 2]
        before_opening = here[opening - 1]
        if opening.size and opening[0] == 0:
            before_opening[0] = self._before
        starts_field = opening[before_opening != _QUOTE]

        def line(position: int) -> int:
            return self._lines + int(np.searchsorted(newlines, position)) + 1

        wrong_opening = opening[~_MAY_STAND_BEFORE_OPENING[before_opening]]
        wrong_closing = closing[~_MAY_FOLLOW_CLOSING[here[closing + 1]]]
        if wrong_opening.size and not (wrong_closing.size and wrong_closing[0] < wrong_opening[0]):
            position = int(wrong_opening[0])
            return position, f"line {line(position)}: a quote opens in the middle of a field"
        if wrong_closing.size:
            position = int(wrong_closing[0])
            earlier = starts_field[starts_field < position]
            opened = line(earlier[-1]) if earlier.size else self._opened_on_line
            fault = f"line {line(position)}: more text behind the closing quote of a field"
            return position, f"{fault} that opens on line {opened}"
        if starts_field.size:
            self._opened_on_line = line(starts_field[-1])
        return None

    def _check_crs(self, here: Bytes, quotes: Positions, newlines: Positions) -> None:
        lone = np.flatnonzero((here[:-1] == _CR) & (here[1:] != _LF))
        for position in _outside(lone, quotes, self._quotes)[: MOST_COUNTED + 1]:
            self._note_lone_cr(self._lines + int(np.searchsorted(newlines, position)) + 1)

    def _note_lone_cr(self, line: int) -> None:
        self._note(f"line {line}: a carriage return without line feed (a newline is LF or CRLF)")

    def _note(self, fault: str) -> None:
        self._faults_found += 1
        if len(self._faults) < MOST_NAMED:
            self._faults.append(fault)

    def _count_records(self, data: bytes, here: Bytes, ends: Positions) -> None:
        if self._header is None:
            self._head += data[:-1]
        if ends.size:
            lengths = np.diff(ends + self._offset, prepend=self._last_end)
            before_end = here[ends - 1]
            if ends[0] == 0:
                before_end[0] = self._before
            is_record = (lengths > 2) | ((lengths == 2) & (before_end != _CR))
            self._records += int(np.count_nonzero(is_record))
            self._longest = max(self._longest, int(lengths.max()))
            if self._header is None and is_record.any():
                first = int(np.argmax(is_record))
                self._take_header(int(ends[first]) + self._offset, int(lengths[first]))
            self._last_end = int(ends[-1]) + self._offset
        longest = max(self._longest, self._offset + len(data) - 2 - self._last_end)
        if longest > LONGEST_RECORD and not self._is_too_long:
            self._is_too_long = True
            self._note(f"a record is longer than {LONGEST_RECORD // 1024**2} MB (a quote left open?)")

    def _take_header(self, end: int, length: int) -> None:
        start = end - length + 1 - self._start
        self._header = self._head[start : start + length - 1].removesuffix(b"\r")
        self._data_starts = end + 1
        self._head = b""
