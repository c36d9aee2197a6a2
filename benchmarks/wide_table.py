"""A made-up source of one table: any number of rows, 10 columns like those of order items. Deterministic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SOURCE, TABLE = "bench", "parcels"
BLOCK = 250_000

CONTRACT = """
apiVersion: v3.2.0
kind: DataContract
id: bench
name: Benchmark
version: 1.0.0
status: active
schema:
  - name: parcels
    physicalName: parcels.csv
    physicalType: file
    logicalType: object
    properties:
      - {name: parcel_id, logicalType: string, physicalType: text, primaryKey: true, required: true}
      - {name: order_id, logicalType: string, physicalType: text, required: true}
      - {name: product_id, logicalType: string, physicalType: text, required: true}
      - {name: position, logicalType: integer, physicalType: integer, required: true}
      - name: status
        logicalType: string
        physicalType: text
        quality:
          - {metric: invalidValues, arguments: {validValues: [created, shipped, delivered]}, mustBe: 0, severity: error}
      - {name: shipped_at, logicalType: timestamp, physicalType: timestamp}
      - {name: delivered_at, logicalType: timestamp, physicalType: timestamp}
      - {name: promised_date, logicalType: date, physicalType: date}
      - {name: price, logicalType: number, physicalType: "decimal(12,2)", required: true}
      - {name: freight_value, logicalType: number, physicalType: "decimal(12,2)"}
"""


def write_contract(folder: Path) -> Path:
    """Write the contract of the source into its own folder; return that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{SOURCE}.odcs.yaml").write_text(CONTRACT, encoding="utf-8")
    return folder


def write_csv(path: Path, rows: int) -> None:
    """Write the table as a CSV file of 170 bytes a row; only ids are in quotes, as in Olist's files."""
    random = np.random.default_rng(2018)
    with path.open("wb") as file:
        file.write((",".join(_columns(random, 1)) + "\n").encode())
        for first in range(0, rows, BLOCK):
            columns = _columns(random, min(BLOCK, rows - first))
            lines = pc.binary_join_element_wise(*columns.values(), ",")
            whole = pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines)
            file.write(pc.binary_join(whole, "\n")[0].as_buffer())
            file.write(b"\n")


def _columns(random: np.random.Generator, rows: int) -> dict[str, pa.Array]:
    shipped = np.datetime64("2017-01-01T00:00:00") + random.integers(0, 60_000_000, rows)
    taken = random.integers(86_400, 2_000_000, rows)
    return {
        "parcel_id": _quoted_ids(random, rows),
        "order_id": _quoted_ids(random, rows),
        "product_id": _quoted_ids(random, rows),
        "position": pa.array(random.integers(1, 22, rows).astype(str)),
        "status": pa.array(np.array(["created", "shipped", "delivered"])[random.integers(0, 3, rows)]),
        "shipped_at": _text(shipped),
        "delivered_at": _text(shipped + taken),
        "promised_date": pc.utf8_slice_codeunits(_text(shipped + 2 * taken), 0, 10),
        "price": _money(random, rows, 5_000),
        "freight_value": _money(random, rows, 100),
    }


def _quoted_ids(random: np.random.Generator, rows: int) -> pa.Array:
    """Ids of 32 characters."""
    offsets = np.arange(0, 32 * (rows + 1), 32, dtype=np.int32)
    ids = random.bytes(16 * rows).hex().encode()
    plain = pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(ids))
    return pc.binary_join_element_wise('"', plain, '"', "")


def _text(moments: np.ndarray) -> pa.Array:
    return pc.strftime(pa.array(moments.astype("datetime64[s]")), format="%Y-%m-%d %H:%M:%S")


def _money(random: np.random.Generator, rows: int, below: int) -> pa.Array:
    """Amounts with two decimals."""
    whole, cents = random.integers(0, below, rows), random.integers(0, 100, rows)
    return pc.binary_join_element_wise(pa.array(whole.astype(str)), pc.utf8_lpad(cents.astype(str), 2, "0"), ".")
