"""The hash of the dbt project: what shapes a table changes it, and the marts are rebuilt; what does not leaves it."""

from pathlib import Path

import pytest

from lakehouse.marts.step import project_hash

MODEL_YML = """\
models:
  - name: orders
    description: One row per order.
    config: {meta: {reconciles_with: int_orders}}
    constraints: [{type: primary_key, columns: [order_id]}]
    columns:
      - {name: order_id, data_type: text}

unit_tests:
  - name: the_newest_version_wins
    model: orders
    expect: {rows: [{order_id: o1}]}

exposures:
  - {name: page, type: dashboard, depends_on: [ref('orders')]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "dbt_project.yml": "name: lakehouse\n",
        "macros/keys.sql": "{% macro key() %}1{% endmacro %}\n",
        "models/marts/orders.sql": "select order_id from raw_orders\n",
        "models/marts/orders.yml": MODEL_YML,
        "tests/totals.sql": "select 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def changes_hash(project: Path, file: str, old: str, new: str) -> bool:
    """Whether the project's hash differs once `old` is `new` in one of its files."""
    before, text = project_hash(project), (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))
    return project_hash(project) != before


YML = "models/marts/orders.yml"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param(YML, "data_type: text", "data_type: integer", id="a column's type"),
        pytest.param(YML, "primary_key", "unique", id="a constraint"),
        pytest.param(YML, "int_orders", "int_orders_current", id="meta"),
        pytest.param(YML, "One row per order", "One row per order and day", id="a description"),
        pytest.param("models/marts/orders.sql", "raw_orders", "new_orders", id="a model"),
        pytest.param("macros/keys.sql", "1", "2", id="a macro"),
        pytest.param("dbt_project.yml", "lakehouse", "lakehouse\nvars: {full: true}", id="the project's own file"),
    ],
)
def test_what_shapes_a_table_changes_the_hash(project: Path, file: str, old: str, new: str) -> None:
    assert changes_hash(project, file, old, new)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param(YML, "order_id: o1", "order_id: o2", id="a unit test that changed"),
        pytest.param(YML, MODEL_YML.partition("\nunit_tests")[2], ": []\n", id="unit tests that went"),
        pytest.param(YML, "ref('orders')", "ref('customers')", id="who reads it"),
        pytest.param(YML, "models:", "# The orders.\nmodels:", id="a comment in a yml file"),
        pytest.param("tests/totals.sql", "1", "2", id="a data test of its own"),
    ],
)
def test_what_shapes_no_table_leaves_the_hash(project: Path, file: str, old: str, new: str) -> None:
    assert not changes_hash(project, file, old, new)


def test_the_first_unit_test_of_a_model_leaves_the_hash(project: Path) -> None:
    (project / YML).write_text(MODEL_YML.partition("\nunit_tests")[0])
    without = project_hash(project)

    (project / YML).write_text(MODEL_YML)

    assert project_hash(project) == without


def test_a_yml_file_that_dbt_will_refuse_changes_the_hash(project: Path) -> None:
    assert changes_hash(project, YML, "models:", "models: [")
