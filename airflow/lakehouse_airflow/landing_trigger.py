"""Landing and the drop folder -> an event per check that found new content. Always runs in the triggerer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from lakehouse_airflow.unreported import Unreported

log = logging.getLogger(__name__)

SECONDS_BETWEEN_CHECKS = 3.0
# A check takes longer when there are more batches. The trigger rests at least nine tenths of the time.
REST_PER_SECOND_OF_CHECKING = 10
# Airflow drops events for a paused DAG, so what arrives while `arrivals` is paused is reported again.
SECONDS_UNTIL_SENT_AGAIN = 3600.0


class LandingTrigger(BaseEventTrigger):
    """Starts `arrivals` when a batch is new or changed. At its start and every hour, it reports every batch present.

    It does not report what a run of `lake` has landed from the drop folder: that run processes it.

    The event names what arrived, only for people. The DAG itself checks what to do, since Airflow may drop an
    event that arrives while it creates a run for an earlier one.
    """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """There are no arguments: the triggerer's settings say what to watch."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Check without end. If the store does not answer, log this once and try again."""
        from lakehouse.errors import StoreError
        from lakehouse.pipeline import arrivals
        from lakehouse.settings import Settings

        clock = asyncio.get_running_loop().time
        settings = await asyncio.to_thread(Settings.load)
        unreported, forget_at = Unreported(), clock() + SECONDS_UNTIL_SENT_AGAIN
        logged = ""
        while True:
            begin = clock()
            if begin > forget_at:
                unreported, forget_at = Unreported(), begin + SECONDS_UNTIL_SENT_AGAIN
            try:
                present = {arrival.name for arrival in await asyncio.to_thread(arrivals.present, settings)}
                present |= set(await asyncio.to_thread(arrivals.unreadable, settings))
                if came := unreported.among(present):
                    yield TriggerEvent(came)
                logged = ""
            except StoreError as error:
                if str(error) != logged:
                    log.warning("Landing cannot be checked; retrying until it can: %s", error)
                logged = str(error)
            await asyncio.sleep(max(SECONDS_BETWEEN_CHECKS, REST_PER_SECOND_OF_CHECKING * (clock() - begin)))
