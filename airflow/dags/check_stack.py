"""### Check that the pipeline's tasks can reach every service they need

Trigger this DAG manually. It only reads data, and may run at any time, even during other runs.

| Task | What |
| --- | --- |
| `spark` | opens a session through Spark Connect and lets a worker count some rows |
| `store` | lists each layer as that layer's user; returns how many of the source's folders the layer contains |
| `warehouse` | logs in as each role of the pipeline |

#### When it fails

The first lines of the failed task's log name the cause; clear the task to try again.

- `spark`: `docker compose ps` (spark-connect, spark-master, spark-worker healthy?), then `docker compose logs
  spark-connect spark-worker`. UNAUTHENTICATED: the scheduler's token differs from the server's; `make up` distributes
  the token again.
- `store`: `docker compose ps minio`, then `docker compose up minio-init`, which creates buckets, users and policies.
- `warehouse`: `docker compose ps postgres`; the log says which role was refused and what to do.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, task

ROWS = 1000


@dag(
    schedule=None,
    doc_md=__doc__,
    tags=["stack"],
    default_args={"owner": "lakehouse", "execution_timeout": timedelta(minutes=3)},
)
def check_stack() -> None:
    """Three independent tasks, so that one run shows everything that is broken."""

    @task
    def spark() -> dict[str, str | int]:
        from lakehouse.settings import Settings
        from lakehouse.spark.session import spark_session

        with spark_session(Settings.load()) as session:
            return {"version": session.version, "rows": session.range(ROWS).repartition(2).count()}

    @task
    def store() -> dict[str, int]:
        from lakehouse.lake.store import open_store
        from lakehouse.settings import LAYERS, Settings

        settings = Settings.load()
        return {
            settings.layer_url(layer): len(open_store(settings, layer).folders(settings.source)) for layer in LAYERS
        }

    @task
    def warehouse() -> dict[str, str]:
        from lakehouse.settings import ROLES, Settings
        from lakehouse.warehouse.connections import connect

        found: dict[str, str] = {}
        for role in ROLES:
            if role == "owner":
                continue  # tasks do not have the password of `owner`: none may create roles or databases
            with connect(Settings.load(), role) as connection, connection.cursor() as cursor:
                cursor.execute("select current_database() || ', Postgres ' || current_setting('server_version')")
                (found[role],) = cursor.fetchone() or ("?",)
        return found

    spark()
    store()
    warehouse()


check_stack()
