"""A clean record -> the same record with one fault, of any kind that bronze rejects or silver quarantines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from lakehouse.contract.model import Column, Contract
from lakehouse.sample_data.synthetic.rules import violations
from lakehouse.sample_data.writer import header_line, record_line

_FULL_WIDTH = str.maketrans("0123456789", "".join(chr(0xFF10 + digit) for digit in range(10)))


@dataclass(frozen=True)
class Record:
    """One record of a file. `line`: its bytes, if they differ from its values; `rejected`: bronze's reason."""

    values: tuple[str, ...]
    kind: str = ""
    column: str = ""
    line: bytes | None = None
    rejected: str = ""

    @property
    def content(self) -> bytes:
        """The record's bytes in the file."""
        return record_line(self.values).encode() if self.line is None else self.line


@dataclass(frozen=True)
class ValueFault:
    """A fault of one value, which silver finds. `spoil` makes the new value from the old one."""

    concerns: Callable[[Column], bool]
    spoil: Callable[[str, Column], str]


def _is(*kinds: str) -> Callable[[Column], bool]:
    return lambda column: column.type.kind in kinds


def _has(check: str) -> Callable[[Column], bool]:
    return lambda column: any(rule.check == check and rule.severity == "error" for rule in column.rules)


def _out_of_range(_: str, column: Column) -> str:
    rule = next(rule for rule in column.rules if rule.check == "range" and rule.severity == "error")
    if rule.maximum is not None:
        return str(int(rule.maximum) + 1)
    return str(int(rule.minimum or Decimal(0)) - 1)


VALUE_FAULTS: dict[str, ValueFault] = {
    "bad date": ValueFault(_is("timestamp", "date"), lambda value, _: "05/01/2018 10:00"),
    "impossible date": ValueFault(_is("timestamp", "date"), lambda value, _: "2018-02-30" + value[10:]),
    "year only": ValueFault(_is("timestamp", "date"), lambda value, _: "2018"),
    "time zone suffix": ValueFault(_is("timestamp"), lambda value, _: (value or "2018-01-05 10:00:00") + "+02:00"),
    "decimal comma": ValueFault(_is("decimal", "double"), lambda value, _: value.replace(".", ",") or "1,50"),
    "too many decimals": ValueFault(_is("decimal"), lambda value, column: "10." + "5" * (column.type.scale + 1)),
    "exponent": ValueFault(_is("decimal", "double", "integer", "bigint"), lambda value, _: "1e3"),
    "full-width digits": ValueFault(
        lambda column: _is("decimal", "integer", "bigint")(column) or _has("pattern")(column),
        lambda value, _: (value or "1").translate(_FULL_WIDTH),
    ),
    "integer overflow": ValueFault(
        _is("integer", "bigint"), lambda value, column: "3000000000" if column.type.kind == "integer" else "9" * 20
    ),
    "decimal overflow": ValueFault(
        _is("decimal"), lambda value, column: "9" * (column.type.precision - column.type.scale + 1)
    ),
    "required empty": ValueFault(lambda column: column.required, lambda value, _: ""),
    "invalid value": ValueFault(_has("valid_values"), lambda value, _: "unheard-of"),
    "out of range": ValueFault(_has("range"), _out_of_range),
    "bad pattern": ValueFault(_has("pattern"), lambda value, _: value[:-1] or "?"),
}


def _short(values: Sequence[str], _: int) -> bytes:
    return record_line(values[:-1]).encode()


def _long(values: Sequence[str], _: int) -> bytes:
    return record_line([*values, "surplus"]).encode()


def _latin_1(values: Sequence[str], column: int) -> bytes:
    return _with_bytes(values, column, "são".encode("latin-1"))


def _nul(values: Sequence[str], column: int) -> bytes:
    return _with_bytes(values, column, b"\0")


def _with_bytes(values: Sequence[str], column: int, content: bytes) -> bytes:
    """The record's bytes, with one text value that ends in `content`."""
    marked = [*values[:column], values[column] + "@mark@", *values[column + 1 :]]
    return record_line(marked).encode().replace(b"@mark@", content)


# Faults of a whole record, which bronze finds: kind -> (reason, how).
RECORD_FAULTS: dict[str, tuple[str, Callable[[Sequence[str], int], bytes]]] = {
    "short record": ("wrong number of fields", _short),
    "long record": ("wrong number of fields", _long),
    "latin-1 bytes": ("not UTF-8", _latin_1),
    "NUL byte": ("holds a NUL byte", _nul),
}

KINDS: tuple[str, ...] = (*RECORD_FAULTS, *VALUE_FAULTS)


def concerned_columns(kind: str, columns: Sequence[Column]) -> list[int]:
    """Positions of the columns that can have a fault of this kind."""
    concerns = VALUE_FAULTS[kind].concerns if kind in VALUE_FAULTS else _is("text")
    return [position for position, column in enumerate(columns) if concerns(column)]


def spoiled(record: Record, kind: str, columns: Sequence[Column], position: int) -> Record | None:
    """The record with this fault in this column; None if the contract allows the value."""
    values, name = record.values, columns[position].name
    if kind in RECORD_FAULTS:
        reason, spoil = RECORD_FAULTS[kind]
        of_a_column = name if kind in ("latin-1 bytes", "NUL byte") else ""
        return Record(values, kind, of_a_column, spoil(values, position), reason)
    value = VALUE_FAULTS[kind].spoil(values[position], columns[position])
    changed = (*values[:position], value, *values[position + 1 :])
    return Record(changed, kind, name) if violations(columns, changed)[0] else None


def write_refused_delivery(directory: Path, contract: Contract, batch_date: date) -> dict[str, str]:
    """Write a batch that landing must refuse as a whole. Each file has one fault that concerns the whole file.

    Returns file name -> what is wrong with it. Needs a contract of at least five tables.
    """
    folder = directory / batch_date.isoformat()
    folder.mkdir(parents=True)
    faults: dict[str, str] = {}
    for number, table in enumerate(contract.tables[:5]):
        names = table.demanded_columns(batch_date)
        row = record_line(["1"] * len(names)).encode()
        fault, content = (
            (
                f"column {names[-1]} is missing",
                header_line(names[:-1]) + record_line(["1"] * (len(names) - 1)).encode(),
            ),
            (
                "column surplus is unknown",
                header_line([*names, "surplus"]) + record_line(["1"] * (len(names) + 1)).encode(),
            ),
            (f"column {names[0]} stands there twice", header_line([*names, names[0]]) + row),
            ("a quote is never closed", header_line(names) + b'"' + row),
            ("the file is empty", b""),
        )[number]
        file = f"{table.files[0]}.csv"
        (folder / file).write_bytes(content)
        faults[file] = fault
    return faults
