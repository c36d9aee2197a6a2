"""The lint that keeps the models portable to Redshift catches everything banned and nothing else."""

import importlib.util

import pytest

from lakehouse.settings import PROJECT_DIR

specification = importlib.util.spec_from_file_location("lint_portability", PROJECT_DIR / "dbt" / "lint_portability.py")
assert specification is not None and specification.loader is not None
lint = importlib.util.module_from_spec(specification)
specification.loader.exec_module(lint)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("select distinct on (a) a, b from t order by a, b", "distinct on"),
        ("select * from t cross join lateral (select 1 as one) as l", "lateral"),
        ("select count(*) filter (where a > 1) as n from t", "filter"),
        ("select array[1, 2] as a", "arrays"),
        ("select array_agg(a) as a from t", "arrays"),
        ("select a -> 'b' as c from t", "json"),
        ("select jsonb_build_object('a', 1) as a", "json"),
        ("select * from generate_series(1, 3) as n", "generate_series"),
        ("select a from t except all select a from s", "except all"),
        ("select string_agg(a, ',') as a from t", "string_agg"),
        ("select a from t where a is distinct from b", "is distinct from"),
        ("select a, count(*) as n from t group by 1", "group by a number"),
        ("select row_number() over (partition by a) as n from t", "without an order"),
        ("insert into t (a) values (1) on conflict (a) do nothing", "on conflict"),
        ("delete from t where a = 1 returning a", "returning"),
        ("create unlogged table t (a integer)", "unlogged"),
        ("select a from t for update", "for update"),
        ("select a from t tablesample system (10)", "tablesample"),
        ("select a from t intersect all select a from s", "intersect all"),
        ("select a from unnest(b) as a", "arrays"),
        ("select a ->> 'b' as c from t", "json"),
        ("select a::jsonb as b from t", "json"),
        ("select a from t where a is not distinct from b", "is distinct from"),
        ("select lag(a) over (partition by b) as c from t", "without an order"),
        ("select lead(a) over (partition by b) as c from t", "without an order"),
        ("select from where", "does not parse"),
    ],
)
def test_what_redshift_lacks_is_caught(statement: str, fault: str) -> None:
    assert any(fault in found for found in lint.faults_of(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "select a, 'distinct on, lateral and jsonb' as words from t -- array",
        "select percentile_disc(0.5) within group (order by a) as a from t",
        "select row_number() over (partition by a order by b) as n from t",
        "select md5(a || chr(31)) as key, split_part(b, chr(31), 1) as part from t",
    ],
    ids=["in a string or comment", "percentile_disc", "row_number with order", "md5 and split_part"],
)
def test_what_redshift_accepts_passes(statement: str) -> None:
    assert list(lint.faults_of(statement)) == []
