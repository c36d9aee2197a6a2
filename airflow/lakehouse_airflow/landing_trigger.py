"""Landing and the drop folder -> an event per look that found new batches. Runs in the triggerer, all the time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 3.0
# A look costs more the more batches there are: nine tenths of the time at least, nobody looks.
REST_PER_SECOND_OF_LOOKING = 10
# What was told then was told in vain if `arrivals` was paused: Airflow keeps no events for a DAG that is.
SECONDS_UNTIL_TOLD_AGAIN = 3600.0


class LandingTrigger(BaseEventTrigger):
    """Wakes `arrivals` when something has come or changed; when it starts, and every hour, for all that is there.

    The event names what came for whoever reads it. What is to be done about it is found out anew by the DAG: Airflow
    may drop an event that comes while it makes a run for an earlier one.
    """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """It has no arguments: what to watch stands in the settings of the triggerer."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Never ends. A store that does not answer is told once, and asked again."""
        from lakehouse.errors import StoreError
        from lakehouse.pipeline import arrivals
        from lakehouse.settings import Settings

        clock = asyncio.get_running_loop().time
        settings = await asyncio.to_thread(Settings.load)
        seen: set[str] = set()
        forget_at = clock() + SECONDS_UNTIL_TOLD_AGAIN
        told = ""
        while True:
            begin = clock()
            if begin > forget_at:
                seen, forget_at = set(), begin + SECONDS_UNTIL_TOLD_AGAIN
            try:
                there = {arrival.name for arrival in await asyncio.to_thread(arrivals.present, settings)}
                there |= set(await asyncio.to_thread(arrivals.unreadable, settings))
                if came := sorted(there - seen):
                    yield TriggerEvent(came)
                seen |= there
                told = ""
            except StoreError as error:
                if str(error) != told:
                    log.warning("Landing cannot be looked at; it is tried again and again: %s", error)
                told = str(error)
            await asyncio.sleep(max(SECONDS_BETWEEN_LOOKS, REST_PER_SECOND_OF_LOOKING * (clock() - begin)))
