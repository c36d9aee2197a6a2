"""Print the versions of a table of silver, the newest first. Runs where the steps run: in the stack's service `cli`."""

import sys
from datetime import UTC, datetime

from lakehouse.lake.delta import open_table
from lakehouse.lake.places import table_path
from lakehouse.lakehouse import Lakehouse
from lakehouse.settings import Settings

LINE = "{:>7}  {:<19}  {:<10}  {:<9}  {}\n"
ROWS = ("numOutputRows", "num_added_rows")  # Spark's name, delta-rs' name


def main() -> None:
    """The table `orders` of the workspace `main`."""
    lakehouse = Lakehouse.open(Settings.load(workspace="main"))
    table = open_table(lakehouse.silver, table_path(lakehouse.contract.table("orders")))
    sys.stdout.write(LINE.format("version", "time (UTC)", "operation", "rows", "written by"))
    for entry in table.history() if table else []:
        moment = datetime.fromtimestamp(entry["timestamp"] / 1000, UTC)
        metrics = entry.get("operationMetrics", {})
        rows = next((metrics[name] for name in ROWS if name in metrics), "")
        engine = entry.get("engineInfo") or entry.get("clientVersion") or ""
        sys.stdout.write(LINE.format(entry["version"], f"{moment:%Y-%m-%d %H:%M:%S}", entry["operation"], rows, engine))


if __name__ == "__main__":
    main()
