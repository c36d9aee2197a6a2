"""On the stack: the archive's largest table from silver into the warehouse, against `\\copy` by the server's psql."""

from __future__ import annotations

import json
from collections.abc import Callable

from benchmarks.figures import Figure, median_ratio, shown

REPETITIONS = 3
# Runs in the container `cli`. The first load warms up; each finds the table as it was before the first.
LOADS = f"""
import json
from lakehouse import warehouse
from lakehouse.load import step as load
from lakehouse.landing.manifest import read_manifests
from lakehouse.lakehouse import Lakehouse
from lakehouse.spark.session import spark_session
from lakehouse.settings import Settings

settings = Settings.load(workspace="main")
lakehouse = Lakehouse.open(settings)
table = lakehouse.contract.table("geolocation")
(manifest,) = read_manifests(lakehouse)
seconds = []
with spark_session(settings) as spark:
    for _ in range({REPETITIONS + 1}):
        with warehouse.cursor(settings) as cursor:
            cursor.execute("drop table raw_olist.geolocation cascade")  # and the views that dbt made on it
            cursor.execute("delete from ops.load_log where table_name = 'geolocation'")
        load.ensure_tables(lakehouse)
        with warehouse.lock(settings, "olist.geolocation"):
            result = load.run(lakehouse, table, manifest, spark)
        seconds.append([result.seconds, result.phases["copy"]])
print(json.dumps(seconds[1:]))
"""
# Runs in the container `postgres`. A line per repetition: milliseconds of copying, and of the raw table's indexes.
COPIES = rf"""
set -eu
export PGPASSWORD=$(cat /run/secrets/loader_password) PGOPTIONS="-c client_min_messages=warning"
psql="psql --host 127.0.0.1 --username loader --dbname lakehouse_main --quiet --no-psqlrc --set ON_ERROR_STOP=1"
now() {{ date +%s%N; }}
$psql --command "\copy raw_olist.geolocation to '/tmp/rows.txt'"
for _ in $(seq {REPETITIONS}); do
    $psql --command "drop table if exists ops.copied" --command "create table ops.copied (like raw_olist.geolocation)"
    begin=$(now)
    $psql --command "\copy ops.copied from '/tmp/rows.txt'"
    copied=$(now)
    $psql --tuples-only --no-align --command "
        select replace(indexdef, 'raw_olist.geolocation', 'ops.copied') from pg_indexes
        where schemaname = 'raw_olist' and tablename = 'geolocation'" |
        sed 's/INDEX [^ ]* ON/INDEX ON/; s/$/;/' | $psql
    echo $(((copied - begin) / 1000000)) $((($(now) - begin) / 1000000))
done
$psql --command "drop table ops.copied"
rm /tmp/rows.txt
"""


def measure(run: Callable[..., str]) -> list[Figure]:
    """Measure on a stack that has processed the archive. `run` executes a command there and returns what it prints."""
    compose = ("docker", "compose")
    loads = run(*compose, "run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "python", "cli", "-c", LOADS)
    measured = json.loads(loads.splitlines()[-1])
    copies = run(*compose, "exec", "--no-TTY", "postgres", "bash", "-c", COPIES)
    psqls = [[int(word) / 1000 for word in line.split()] for line in copies.splitlines()]
    whole, copying = ([seconds[column] for seconds in measured] for column in (0, 1))
    copied, indexed = ([seconds[column] for seconds in psqls] for column in (0, 1))
    return [
        Figure(
            "load of geolocation against `psql \\copy` and its indexes, into the same server",
            f"{median_ratio(indexed, whole):.2f}: {shown(whole)} against {shown(indexed)}",
        ),
        Figure(
            "its copy phase against `\\copy` alone",
            f"{median_ratio(copied, copying):.2f}: {shown(copying)} against {shown(copied)}",
        ),
    ]
