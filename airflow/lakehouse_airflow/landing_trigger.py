"""Landing and the drop folder -> an event per check that found new content. Always runs in the triggerer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

log = logging.getLogger(__name__)

SECONDS_BETWEEN_CHECKS = 3.0
# The more batches there are, the longer a check takes: the trigger rests at least nine tenths of the time.
REST_PER_SECOND_OF_CHECKING = 10
# Events sent while `arrivals` is paused are lost: Airflow keeps none for a paused DAG. So they are sent again.
SECONDS_UNTIL_SENT_AGAIN = 3600.0


class LandingTrigger(BaseEventTrigger):
    """Starts `arrivals` when a batch is new or changed; at its own start and every hour, for everything present.

    The event names what arrived, for people to read. The DAG itself looks up what to do, since Airflow may drop an
    event that arrives while it creates a run for an earlier one.
    """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """No arguments: the settings of the triggerer say what to watch."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Never ends. If the store does not answer, log it once and try again."""
        from lakehouse.errors import StoreError
        from lakehouse.pipeline import arrivals
        from lakehouse.settings import Settings

        clock = asyncio.get_running_loop().time
        settings = await asyncio.to_thread(Settings.load)
        seen: set[str] = set()
        forget_at = clock() + SECONDS_UNTIL_SENT_AGAIN
        logged = ""
        while True:
            begin = clock()
            if begin > forget_at:
                seen, forget_at = set(), begin + SECONDS_UNTIL_SENT_AGAIN
            try:
                present = {arrival.name for arrival in await asyncio.to_thread(arrivals.present, settings)}
                present |= set(await asyncio.to_thread(arrivals.unreadable, settings))
                if came := sorted(present - seen):
                    yield TriggerEvent(came)
                seen |= present
                logged = ""
            except StoreError as error:
                if str(error) != logged:
                    log.warning("Landing cannot be checked; retrying until it can: %s", error)
                logged = str(error)
            await asyncio.sleep(max(SECONDS_BETWEEN_CHECKS, REST_PER_SECOND_OF_CHECKING * (clock() - begin)))
