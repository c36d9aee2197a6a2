"""Settings -> a Spark session that starts in the background."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class SparkWhenNeeded:
    """A Spark session that starts in the background. The first step that needs the session waits for it.

    A `given` session is used instead and stays open. `short_run`: see spark_session.
    """

    def __init__(self, settings: Settings, given: SparkSession | None = None, *, short_run: bool = False) -> None:
        self._settings = settings
        self._given = given
        self._short_run = short_run
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="spark")
        self._open = ExitStack()
        self._starting: Future[SparkSession] | None = None

    def __enter__(self) -> SparkWhenNeeded:
        return self

    def __exit__(self, *exception: object) -> None:
        self._starter.shutdown(wait=True)
        self._open.close()

    def prepare(self) -> None:
        """Start the session in the background. Returns immediately."""
        if self._given is None and self._starting is None:
            self._starting = self._starter.submit(self._start)

    def session(self) -> SparkSession:
        """Wait until the session has started, and return it."""
        if self._given is not None:
            return self._given
        self.prepare()
        assert self._starting is not None
        return self._starting.result()

    def _start(self) -> SparkSession:
        from lakehouse.spark.session import spark_session  # pyspark takes half a second to import

        return self._open.enter_context(spark_session(self._settings, short_run=self._short_run))
