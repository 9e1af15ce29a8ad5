"""Watches the limits of queues: drops what waits where newer jobs took its place, and notes how long the oldest waits.

Producers may not read streams, nor take anything out of them. So an enqueue with `on_full="shed"` gets in, and says how
many have to go; and the age of a queue's oldest job is looked at here, once a second, while queues have such a limit.
"""

from __future__ import annotations

from typing import Final

from tidemill import telemetry
from tidemill.connection import Link
from tidemill.errors import RemoteError, ServerUnavailable, TidemillError
from tidemill.telemetry import Event
from tidemill.wire import record
from tidemill.wire.scripts import Scripts
from tidemill_scheduler import settings

_ERROR: Final = record.write_error(
    RemoteError("shed", "it was dropped while it waited: its queue was at a limit, and other jobs took its place")
)


class Shedder:
    def __init__(self, link: Link, scripts: Scripts) -> None:
        self._link = link
        self._scripts = scripts

    def run(self, now_ms: int) -> None:
        """Looks at every queue that is to be looked at. What the server refuses for one does not keep the others; it is
        raised afterwards."""
        refused: TidemillError | None = None
        for queue in self._link.run(self._scripts.watched(now_ms, settings.QUEUES_PAGE)):
            try:
                self._look_at(queue)
            except ServerUnavailable:
                raise
            except TidemillError as error:
                refused = error
        if refused is not None:
            raise refused

    def _look_at(self, queue: str) -> None:
        is_over = False
        while not is_over:
            found = self._link.run(self._scripts.shed(queue, settings.SHED_PAGE, settings.AGE_LOOK_MS, _ERROR))
            if found.job_ids:
                count = len(found.job_ids)
                telemetry.event(Event.JOB_SHED, queue=queue, reason=found.limit, count=count)
                telemetry.jobs_shed(queue, found.limit, count)
            is_over = not found.more
