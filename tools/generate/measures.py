"""report/measures.yml -> docs/measures.md: what each figure of the report means, and how it is computed."""

from __future__ import annotations

from lakehouse.report.figures import as_text
from lakehouse.report.measures import Measure, Measures
from tools.generate.markdown import one_line, table

BETTER = {"higher": "higher is better", "lower": "lower is better", None: ""}


def measures_page(measures: Measures) -> str:
    """The page: measures by folder, the parts they are made of, dimensions, relations."""
    shown = [measure for measure in measures.measures if not measure.hidden]
    lines = [
        "# Measures",
        "",
        f"The {len(shown)} figures of the report, defined once in [report/measures.yml](../report/measures.yml): the "
        "page, Power BI, this list and `lakehouse measure` show the same figures by the same definitions. A test "
        "compares the SQL with the DAX.",
        "",
        '    lakehouse measure "late share" --by month --where customer_state=RJ',
        "",
        "A measure is an aggregate over the rows of a [relation](#relations), and can be split and filtered by the "
        "[dimensions](#dimensions) that the relation has. Days are calendar days. Money is in R$. A count of nothing "
        "is 0 in SQL and blank in Power BI.",
        "",
    ]
    for folder, members in measures.folders().items():
        lines += [f"## {folder}", ""]
        for measure in members:
            lines += [*_section(measures, measure), ""]
    parts = [measure for measure in measures.measures if measure.hidden]
    lines += [
        "## Parts",
        "",
        "What averages and shares are made of. Power BI hides them.",
        "",
        *table(
            ("part", "meaning", "SQL", "DAX"),
            [(part.name, part.description, f"`{one_line(part.sql)}`", f"`{one_line(part.dax)}`") for part in parts],
        ),
        "",
        "## Dimensions",
        "",
        *table(
            ("dimension", "meaning", "Power BI", "relations"),
            [
                (
                    f"`{each.name}`",
                    each.description,
                    f"`{each.dax}`",
                    ", ".join(r.name for r in measures.relations if each.name in r.dimensions),
                )
                for each in measures.dimensions
            ],
        ),
        "",
        "## Relations",
        "",
        "A dimension that is not in the list of a relation cannot filter its measures: an order has no single product "
        "category, since its items may have several.",
        "",
    ]
    for relation in measures.relations:
        lines += [
            f"### {relation.name}",
            "",
            f"{relation.grain[0].upper()}{relation.grain[1:]}; in Power BI the table {relation.table}. Dimensions: "
            f"{', '.join(relation.dimensions)}.",
            "",
            "```sql",
            *relation.sql.splitlines(),
            "```",
            "",
        ]
    return "\n".join(lines)


def _section(measures: Measures, measure: Measure) -> list[str]:
    relation = measures.relation(measure.relation)
    if measure.overlapping:
        adds_up = f"groups add up, but not by {', '.join(measure.overlapping)}"
    elif measure.additive:
        adds_up = "groups add up"
    else:
        adds_up = "groups do not add up" if not measure.numerator else ""
    facts = [f"shown as {as_text(_example(measure), measure)}", BETTER[measure.better], adds_up]
    if measure.numerator:
        facts.insert(0, f"{measure.numerator} / {measure.denominator}")
    return [
        f"### {measure.name}",
        "",
        measure.description,
        "",
        f"- {'; '.join(fact for fact in facts if fact)}",
        f"- SQL over [{relation.name}](#{relation.name}): `{one_line(measure.sql)}`",
        f"- DAX: `{one_line(measure.dax)}`",
    ]


def _example(measure: Measure) -> float:
    if measure.format.endswith("%"):
        return 0.1234
    return 12345.678 if measure.format.startswith("#,") else 12.345
