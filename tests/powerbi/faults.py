"""Faults that a person, a merge or the generator could put into the project, and the checker that must find each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# Microsoft's TOM, Microsoft's validator of reports, Microsoft's JSON schemas, the project's own cross-check.
Checker = Literal["tom", "validator", "schemas", "cross"]

MODEL = "Olist.SemanticModel/definition"
TABLES = f"{MODEL}/tables"
REPORT = "Olist.Report"
PAGES = f"{REPORT}/definition/pages"
THEME = f"{REPORT}/StaticResources/RegisteredResources/IBCS.json"
CARDS = f"{PAGES}/overview/visuals/key_figures/visual.json"
STATES = f"{PAGES}/overview/visuals/revenue_by_state/visual.json"
SLICER = f"{PAGES}/overview/visuals/filter_period/visual.json"
WORST = f"{PAGES}/sellers/visuals/worst_sellers/visual.json"


@dataclass(frozen=True)
class Fault:
    """What is wrong, how to make it so, who must find it, and a word of what it must say."""

    name: str
    make: Callable[[Path], None]
    checker: Checker
    says: str


def replaced(path: str, old: str, new: str) -> Callable[[Path], None]:
    """Replace the first occurrence of a text, which must be there."""

    def make(project: Path) -> None:
        text = (project / path).read_text(encoding="utf-8")
        assert old in text, f"{path} has no {old!r}: the fault would be none"
        (project / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    return make


def changed(path: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Change a JSON document in place."""

    def make(project: Path) -> None:
        document = json.loads((project / path).read_text(encoding="utf-8"))
        change(document)
        (project / path).write_text(json.dumps(document, indent=2), encoding="utf-8")

    return make


def put(path: str, *place: Any) -> Callable[[Path], None]:
    """Put a value, the last argument, to a place in a JSON document."""
    *steps, last, value = place

    def change(document: Any) -> None:
        for step in steps:
            document = document[step]
        document[last] = value

    return changed(path, change)


def removed(path: str) -> Callable[[Path], None]:
    return lambda project: (project / path).unlink()


def renamed(path: str, name: str) -> Callable[[Path], None]:
    def make(project: Path) -> None:
        (project / path).rename((project / path).with_name(name))

    return make


def added(path: str, text: str) -> Callable[[Path], None]:
    def make(project: Path) -> None:
        with (project / path).open("a", encoding="utf-8") as file:
            file.write(text)

    return make


def another_role(document: Any) -> None:
    state = document["visual"]["query"]["queryState"]
    state["Values"] = state.pop("Data")


def without_alternative_text(document: Any) -> None:
    del document["visual"]["visualContainerObjects"]["general"]


ORDER_ID = "column 'Order ID'\n\t\tdataType: string\n"
FACT_TO_FACT = "relationship facts\n\tfromColumn: 'Order Items'.'Order ID'\n\ttoColumn: Orders.'Order ID'\n\n"
OWN_SOURCE = 'PostgreSQL.Database("warehouse", "shop"){[Schema = "marts", Item = "fct_orders"]}[Data]'
MODUS = [{"properties": {"modus": {"expr": {"Literal": {"Value": "'Dropdown'"}}}}}]
NO_SCHEMA = (
    "https://developer.microsoft.com/json-schemas/fabric/item/report/definition/visualContainer/9.9.0/schema.json"
)

FAULTS = [
    # The model as TMDL
    Fault(
        "a property that TMDL lacks",
        replaced(f"{TABLES}/Orders.tmdl", "formatString:", "formatStrng:"),
        "tom",
        "formatStrng is not a supported property",
    ),
    Fault(
        "a line indented too far",
        replaced(f"{TABLES}/Orders.tmdl", "\t\tformatString", "\t\t\tformatString"),
        "tom",
        "Invalid indentation",
    ),
    Fault(
        "a type that TMDL lacks",
        replaced(f"{TABLES}/Orders.tmdl", "dataType: int64", "dataType: integer"),
        "tom",
        "Failed to convert the value 'integer'",
    ),
    Fault(
        "a relationship of a column that is not there",
        replaced(f"{MODEL}/relationships.tmdl", "Orders.'Customer Key'", "Orders.'Customer Kee'"),
        "tom",
        "Property FromColumn",
    ),
    Fault(
        "sorted by a column that is not there",
        replaced(f"{TABLES}/Date.tmdl", "sortByColumn: 'Month Number'", "sortByColumn: 'Month Nr'"),
        "tom",
        "Property SortByColumn",
    ),
    Fault(
        "two measures of one name",
        replaced(f"{TABLES}/Orders.tmdl", "'Lost Orders' =", "'Order Count' ="),
        "tom",
        "type=Measure, name=''Order Count''",
    ),
    Fault(
        "a description of a relationship",
        replaced(f"{MODEL}/relationships.tmdl", "relationship ", "/// why\nrelationship "),
        "tom",
        "Property 'description' is unknown",
    ),
    Fault("a table whose file is missing", removed(f"{TABLES}/Customer.tmdl"), "tom", "Property ToColumn"),
    Fault(
        "properties in another order than TOM's",
        replaced(f"{TABLES}/Customer.tmdl", "\t\tisHidden\n\t\tisKey\n", "\t\tisKey\n\t\tisHidden\n"),
        "tom",
        "TOM writes it differently",
    ),
    # What TOM does not see in the model
    Fault(
        "a measure named like a column",
        replaced(f"{TABLES}/Orders.tmdl", "measure 'Order Count' =", "measure 'Is Late' ="),
        "cross",
        "column and measure are both named Is Late",
    ),
    Fault(
        "two active paths between two tables",
        added(f"{MODEL}/relationships.tmdl", FACT_TO_FACT),
        "cross",
        "2 active paths from Order Items to Date",
    ),
    Fault(
        "a relationship that filters both ways",
        replaced(
            f"{MODEL}/relationships.tmdl", "\tfromColumn", "\tcrossFilteringBehavior: bothDirections\n\tfromColumn"
        ),
        "cross",
        "facts must not filter dimensions",
    ),
    Fault(
        "a key that readers see",
        replaced(f"{TABLES}/Orders.tmdl", f"{ORDER_ID}\t\tisHidden\n", ORDER_ID),
        "cross",
        "Orders[Order ID] is a key and not hidden",
    ),
    Fault(
        "a column that Power BI sums by itself",
        replaced(f"{TABLES}/Orders.tmdl", "summarizeBy: none", "summarizeBy: sum"),
        "cross",
        "is summed by itself",
    ),
    # DAX
    Fault(
        "a measure of a column that is not there",
        replaced(f"{TABLES}/Order Items.tmdl", "[Item Price]", "[Itm Price]"),
        "cross",
        "no column Order Items[Itm Price]",
    ),
    Fault(
        "a bracket missing in DAX",
        replaced(f"{TABLES}/Orders.tmdl", "= COUNTROWS(Orders)", "= COUNTROWS(Orders"),
        "cross",
        "DAX does not parse: expected )",
    ),
    Fault(
        "a function that DAX lacks",
        replaced(f"{TABLES}/Orders.tmdl", "= COUNTROWS(Orders)", "= COUNTROW(Orders)"),
        "cross",
        "COUNTROW is none of the functions",
    ),
    Fault(
        "a measure of a measure that is not there",
        replaced(f"{TABLES}/Order Items.tmdl", "DIVIDE([Freight]", "DIVIDE([Fright]"),
        "cross",
        "no measure [Fright]",
    ),
    Fault(
        "a measure that is not what measures.yml says",
        replaced(f"{TABLES}/Orders.tmdl", "= COUNTROWS(Orders)", "= COUNTROWS(Reviews)"),
        "cross",
        "[Order Count] is not what measures.yml says",
    ),
    Fault(
        "a measure of measures.yml under another name",
        replaced(f"{TABLES}/Payments.tmdl", "measure 'Payment Value' =", "measure 'Paid Value' ="),
        "cross",
        "[Payment Value] of measures.yml is not in the model",
    ),
    Fault(
        "a measure that measures.yml lacks",
        replaced(f"{TABLES}/Reviews.tmdl", "\tmeasure ", "\tmeasure Extra = COUNTROWS(Reviews)\n\n\tmeasure "),
        "cross",
        "[Extra] is in the model and not in measures.yml",
    ),
    # M, the marts, the connection
    Fault(
        "a comma missing in M",
        replaced(f"{TABLES}/Date.tmdl", "List.Min(Keys, 0), 10000),", "List.Min(Keys, 0), 10000)"),
        "cross",
        "Date: M does not parse",
    ),
    Fault(
        "a column that its query does not read",
        replaced(f"{TABLES}/Orders.tmdl", '"is_late", ', ""),
        "cross",
        "Orders: column is_late is not in the query",
    ),
    Fault(
        "a column that the query reads in vain",
        replaced(f"{TABLES}/Orders.tmdl", '"is_late", ', '"is_late", "approved_at", '),
        "cross",
        "Orders: approved_at is queried and no column",
    ),
    Fault(
        "a column that the marts lack",
        replaced(f"{TABLES}/Orders.tmdl", '"is_late", ', '"is_late", "is_lost", '),
        "cross",
        "marts has no fct_orders.is_lost",
    ),
    Fault(
        "a type that the column does not have in the marts",
        replaced(f"{TABLES}/Orders.tmdl", "dataType: boolean", "dataType: string"),
        "cross",
        "[Is Late] is String, in marts it is boolean",
    ),
    Fault(
        "a password in a query",
        replaced(f"{MODEL}/expressions.tmdl", "(Server, Database,", '(Server & ";Password=hunter2", Database,'),
        "cross",
        "holds something like a credential: Password",
    ),
    Fault(
        "a server written into the query",
        replaced(f"{MODEL}/expressions.tmdl", "(Server, Database,", '("10.0.0.7", Database,'),
        "cross",
        "does not take server and database from the parameters",
    ),
    Fault(
        "a table with a connection of its own",
        replaced(f"{TABLES}/Orders.tmdl", "Chosen = Mart(", f"Own = {OWN_SOURCE}, Chosen = Mart("),
        "cross",
        "Orders: the query does not read the marts through Mart",
    ),
    # The report against the model
    Fault(
        "a visual of a measure that is not there",
        replaced(CARDS, '"Property": "Revenue"', '"Property": "Turnover"'),
        "cross",
        "key_figures: no Order Items[Turnover] among the measures",
    ),
    Fault(
        "a filter by a column that is not there",
        changed(STATES, lambda one: one["filterConfig"]["filters"][0]["field"]["Column"].update(Property="Stat")),
        "cross",
        "revenue_by_state: no Customer[Stat] among the columns",
    ),
    Fault(
        "a ranking by a measure of another table",
        changed(
            WORST,
            lambda one: one["filterConfig"]["filters"][0]["filter"]["From"][0].update(Entity="Seller"),
        ),
        "cross",
        "worst_sellers: no Seller[Orders with Items] among the measures",
    ),
    Fault(
        "a report of another model",
        put(f"{REPORT}/definition.pbir", "datasetReference", "byPath", "path", "../Shop.SemanticModel"),
        "cross",
        "no semantic model at ../Shop.SemanticModel",
    ),
    Fault("two visuals that overlap", put(STATES, "position", "x", 500), "cross", "revenue_by_state overlap"),
    Fault(
        "two visuals that overlap on the phone",
        put(STATES.replace("visual.json", "mobile.json"), "position", "y", 0),
        "cross",
        "overlap (mobile.json)",
    ),
    Fault(
        "a visual wider than the phone",
        put(STATES.replace("visual.json", "mobile.json"), "position", "width", 400),
        "cross",
        "revenue_by_state is wider than a phone",
    ),
    Fault(
        "a visual without alternative text",
        changed(STATES, without_alternative_text),
        "cross",
        "revenue_by_state has no alternative text",
    ),
    Fault(
        "two visuals at one place of the tab key",
        put(STATES, "position", "tabOrder", 0),
        "cross",
        "one place in the order of the tab key",
    ),
    Fault(
        "a folder that Power BI ignores",
        renamed(f"{PAGES}/overview/visuals/revenue_by_state", "revenue by state"),
        "cross",
        "Power BI ignores a visual named revenue by state",
    ),
    # The report by Microsoft's validator
    Fault("a role that the visual lacks", changed(CARDS, another_role), "validator", "PBIR_ROLE"),
    Fault(
        "a visual type that is not there",
        put(STATES, "visual", "visualType", "barrChart"),
        "validator",
        "PBIR_VISUAL_TYPE",
    ),
    Fault("a visual outside its page", put(STATES, "position", "x", 1100), "validator", "PBIR_LAYOUT_OUT_OF_BOUNDS"),
    Fault("a slicer too low to use", put(SLICER, "position", "height", 40), "validator", "PBIR_SLICER_HEIGHT"),
    Fault(
        "an order of pages that names none",
        changed(f"{PAGES}/pages.json", lambda one: one["pageOrder"].remove("overview")),
        "validator",
        "PBIR_PAGE",
    ),
    Fault(
        "a page named unlike its folder", put(f"{PAGES}/overview/page.json", "name", "start"), "validator", "PBIR_PAGE"
    ),
    Fault("a theme whose file is missing", removed(THEME), "validator", "PBIR_THEME_FILE_MISSING"),
    Fault(
        "a formatting property that the visual lacks",
        put(SLICER, "visual", "objects", "data", MODUS),
        "validator",
        "PBIR_FORMATTING_PROP_UNKNOWN",
    ),
    # The files by Microsoft's schemas
    Fault("a property that the schema lacks", put(STATES, "colour", "red"), "schemas", "colour"),
    Fault("a position that is text", put(STATES, "position", "x", "752"), "schemas", "position/x"),
    Fault("a schema that Power BI lacks", put(STATES, "$schema", NO_SCHEMA), "schemas", "no schema"),
    Fault("a colour of the theme that is none", put(THEME, "good", "green-ish"), "schemas", "good"),
]
