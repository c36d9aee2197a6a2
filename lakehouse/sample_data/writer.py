"""Rows of a table with their batch -> `<directory>/<YYYY-MM-DD>/<file>.csv`; a folder per batch, a file per table.

synthetic and replay write their deliveries here: UTF-8, `\\n`, fields quoted only where necessary.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import ConfigurationError

Days = npt.NDArray[np.int64]
EPOCH = date(1970, 1, 1)


def as_date(day: int) -> date:
    """The date of a day number (days since 1970-01-01)."""
    return EPOCH + timedelta(days=int(day))


def as_day(moment: date) -> int:
    """The day number of a date."""
    return (moment - EPOCH).days


@contextmanager
def whole_folder(directory: Path, *, marker: str | None = None) -> Iterator[Path]:
    """Yield a folder to write in; it becomes `directory` once all is written, so readers never see it half written.

    `marker`: a file whose presence says that the old content of `directory` may be replaced.
    Raises ConfigurationError, before anything is written, when `directory` contains other files or cannot be replaced.
    """
    try:
        directory = directory.resolve()
        _check_replaceable(directory, marker)
        partial = directory.with_name(f".{directory.name}.partial")
        if partial.exists():
            shutil.rmtree(partial)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
        raise _not_written(directory, error) from error
    try:  # from here on: Ctrl-C right after the folder is made must remove it, too
        try:
            partial.mkdir(parents=True)
        except OSError as error:
            raise _not_written(directory, error) from error
        yield partial
        if directory.exists():
            shutil.rmtree(directory)
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _not_written(directory: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"The deliveries cannot be written to {directory}: {getattr(error, 'strerror', None) or error}.\n"
        "Name another folder."
    )


def _check_replaceable(directory: Path, marker: str | None) -> None:
    if directory.exists() and not directory.is_dir():
        raise ConfigurationError(f"{directory} is a file. Name a folder to write the deliveries to.")
    if directory.exists() and any(directory.iterdir()) and not (marker and (directory / marker).is_file()):
        raise ConfigurationError(
            f"{directory} is not empty, and what it holds was not made by this command.\n"
            "Name another folder, or remove this one yourself."
        )
    # The shell would be left in a deleted folder, and a rename cannot replace a mount point.
    if Path.cwd().is_relative_to(directory) or directory.is_mount():
        raise ConfigurationError(
            f"{directory} is the folder you are in, or a mount point: it cannot be replaced in one step.\n"
            f"Name a folder within it, such as {directory / 'batches'}."
        )


def write_batches(directory: Path, file: str, rows: pa.Table, days: Days) -> None:
    """Write each row (all columns text) to the batch of its day number; the rows of a batch keep their order.

    Appends to an existing file.
    """
    if not len(rows):
        return
    order = np.argsort(days, kind="stable")
    lines = _lines(rows).take(pa.array(order))
    ends = np.frombuffer(lines.buffers()[1], dtype=np.int64)[: len(lines) + 1]
    content = memoryview(lines.buffers()[2] or b"")
    batches, starts = np.unique(days[order], return_index=True)
    header = header_line(rows.column_names)
    for day, start, stop in zip(batches, starts, [*starts[1:], len(lines)], strict=True):
        folder = directory / as_date(day).isoformat()
        folder.mkdir(exist_ok=True)
        with (folder / file).open("ab") as out:
            if not out.tell():
                out.write(header)
            out.write(content[ends[start] : ends[stop]])


def header_line(names: Sequence[str]) -> bytes:
    """The first line of a file."""
    return record_line(names).encode()


def record_line(values: Sequence[str]) -> str:
    """One record as it is written to a file."""
    return ",".join([_field(value) for value in values]) + "\n"


def _field(value: str) -> str:
    if '"' in value or "," in value or "\n" in value or "\r" in value:
        return '"' + value.replace('"', '""') + '"'
    return value


def _lines(rows: pa.Table) -> pa.LargeStringArray:
    """One line per row, newline included: the same text as from `record_line`, but fast for a million rows."""
    fields = [_fields(column) for column in rows.columns]
    fields[-1] = _join([fields[-1], _text("\n")], "")
    return _join(fields, ",")


def _fields(column: pa.ChunkedArray) -> pa.LargeStringArray:
    values = pa.concat_arrays(
        [chunk.cast(pa.large_string()) for chunk in column.chunks] or [pa.array([], pa.large_string())]
    )
    needs_quotes = pc.match_substring_regex(values, '[",\r\n]')
    if not pc.any(needs_quotes).as_py():
        return values
    quoted = _join([_text('"'), pc.replace_substring(values, '"', '""'), _text('"')], "")
    return pc.if_else(needs_quotes, quoted, values)


def _join(parts: Sequence[pa.LargeStringArray | pa.LargeStringScalar], separator: str) -> pa.LargeStringArray:
    return pc.binary_join_element_wise(*parts, _text(separator))


def _text(value: str) -> pa.LargeStringScalar:
    return pa.scalar(value, pa.large_string())
