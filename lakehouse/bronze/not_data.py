"""A batch of records -> those that are no data: the header once more, and rulers, both of which stand between records.

A file that was put together from several has the header of each. Some database clients write a ruler of dashes, as
wide as the column, under every header.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

REPEATED_HEADER = "the header once more"
RULER = "a ruler of dashes"

Rows = npt.NDArray[np.intp]
Bytes = npt.NDArray[np.bool_]  # byte -> whether it is one of a set

# Bytes with which a value may begin or end that is more than it seems: spaces are stripped, and every byte beyond ASCII
# may be part of the byte order mark, of a space, or of a letter that folds to one of ASCII.
_LOOSE = np.array([byte > 127 or chr(byte).isspace() or chr(byte) == "-" for byte in range(256)])


class NotData:
    """Finds repeated headers and rulers in the batches of a file whose columns have these names.

    A header has every name in its place; case, spaces around it and a byte order mark at its start do not matter, as in
    the file's first line. A ruler has dashes in every field, and two or more in one of them: `-` alone may be a value.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = [_Column(name) for name in columns]

    def find(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Row of the batch -> why it is no data.

        Hardly any row is left after the first bytes of one column, so this costs next to nothing.
        """
        rows: Rows | None = None
        for column, values in zip(self._columns, batch.columns, strict=True):
            rows = column.alike(values, rows)
            if not rows.size:
                return {}
        left = [] if rows is None else rows.tolist()
        values_left = [values.take(pa.array(left)).to_pylist() for values in batch.columns]
        reasons = (self._reason(*values) for values in zip(*values_left, strict=True))
        return {row: reason for row, reason in zip(left, reasons, strict=True) if reason}

    def _reason(self, first: str, *others: str) -> str | None:
        values = [first.removeprefix("\ufeff").strip(), *(value.strip() for value in others)]
        if all(value.casefold() == column.name for value, column in zip(values, self._columns, strict=True)):
            return REPEATED_HEADER
        is_ruler = all(value and not value.strip("-") for value in values) and any(len(value) > 1 for value in values)
        return RULER if is_ruler else None


class _Column:
    """A column's name, and which values may be this name or part of a ruler, by their ends and lengths."""

    def __init__(self, name: str) -> None:
        self.name = name.strip().casefold()
        self._first = _LOOSE | _letter(self.name[:1])
        self._last = _LOOSE | _letter(self.name[-1:])

    def alike(self, values: pa.StringArray, rows: Rows | None) -> Rows:
        """Those of the rows (None: of all rows) whose value may be one of the two."""
        _, offsets, content = values.buffers()
        data = np.frombuffer(content or b"", np.uint8)
        if not data.size:
            return np.zeros(0, dtype=np.intp)
        bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
        starts, ends = (bounds[:-1], bounds[1:]) if rows is None else (bounds[rows], bounds[rows + 1])
        # An empty value at the end of the data has no first byte.
        found = np.flatnonzero(self._first[data[np.minimum(starts, data.size - 1)]] & (ends > starts))
        starts, ends = starts[found], ends[found]
        first, last = data[starts], data[ends - 1]
        is_as_long = ends - starts == len(self.name.encode())
        alike: Rows = found[self._last[last] & (is_as_long | _LOOSE[first] | _LOOSE[last])]
        return alike if rows is None else rows[alike]


def _letter(letter: str) -> Bytes:
    """The byte of the letter in either case, if it is of ASCII."""
    return np.array([chr(byte).casefold() == letter for byte in range(128)] + [False] * 128)
