"""A source's contract -> the text of dbt/models/staging/<source>/_<source>__sources.yml: a dbt source, table by table.

`make docs` writes it; a test fails when it is not current.
"""

from __future__ import annotations

import yaml

from lakehouse.contract.model import LINEAGE, Contract, TableContract

HEADER = "# Made from contracts/{source}.odcs.yaml by `make docs`: change the contract, not this file.\n"


def sources_yml(contract: Contract) -> str:
    """The dbt sources file of a contract. It has only names and descriptions: silver checks types and rules."""
    document = {
        "version": 2,
        "sources": [
            {
                "name": contract.source,
                "schema": contract.raw_schema,
                "description": f"{contract.title}: every row of every batch that passed its contract. "
                f"{contract.description}".strip(),
                "tables": [_table(table) for table in contract.tables],
            }
        ],
    }
    body: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    return HEADER.format(source=contract.source) + body


def file_name(source: str) -> str:
    """The path of a source's file below the dbt project."""
    return f"models/staging/{source}/_{source}__sources.yml"


def _table(table: TableContract) -> dict[str, object]:
    columns = [(column.name, column.description) for column in table.columns]
    columns += [(name, description) for name, _, description in LINEAGE]
    return {
        "name": table.name,
        "description": f"{table.grain} in each batch. {table.description}".strip(),
        "columns": [{"name": name, "description": description} for name, description in columns],
    }
