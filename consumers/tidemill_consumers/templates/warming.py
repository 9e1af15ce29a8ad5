"""Versions that are loaded before a job wants them.

Workers tell how often they have used which version. One that starts loads what the fleet uses most before it takes its
first job. While jobs run, versions that are used all day and are nearly always held are kept: what was let go, or is
the newest of its name now, is loaded in the background.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

from tidemill import telemetry
from tidemill.connection import Link
from tidemill.telemetry import Event
from tidemill.wire.scripts import Scripts
from tidemill.wire.templating import Hot
from tidemill_consumers import settings
from tidemill_consumers.templates.usage import Usage
from tidemill_consumers.templates.version import Key
from tidemill_consumers.templates.versions import Request, Versions

# Of one call of `report_uses`.
_REPORT_PAGE: Final = 500
# Of one call of `hottest`, which takes no more.
_MOST_HOT: Final = 1_000
# Versions of one round trip while the start waits: so often it looks at the clock.
_PAGE: Final = 32


class Warming:
    """The loader's alone."""

    def __init__(self, link: Link, scripts: Scripts, versions: Versions, usage: Usage) -> None:
        self._link = link
        self._scripts = scripts
        self._versions = versions
        self._usage = usage
        self._is_used = False  # since `keep` was called last

    def report(self) -> None:
        """Tells what was used. Without an answer the figures are lost, which changes little. Raises TidemillError."""
        uses = self._usage.take()
        self._is_used = self._is_used or bool(uses)
        for first in range(0, len(uses), _REPORT_PAGE):
            self._link.run(self._scripts.report_uses(uses[first : first + _REPORT_PAGE]))

    def prepare(self, until: float) -> None:
        """Loads what the fleet uses most, as much as fits into half of the cache, until this monotonic time.

        Raises TidemillError.
        """
        began = time.monotonic()
        hot = self._link.run(self._scripts.hottest(_MOST_HOT))
        if not hot:
            return
        versions = self._versions
        versions.ask({one.name for one in hot})
        wanted, loaded = self._requests(hot), 0
        while time.monotonic() < until and (page := wanted[: min(_PAGE, versions.early_room())]):
            loaded += len(versions.load(page))
            wanted = wanted[len(page) :]
        telemetry.event(Event.TEMPLATES_WARMED, count=loaded, elapsed_s=round(time.monotonic() - began, 3))

    def to_keep(self) -> list[Request]:
        """What is to be held but is not. [] while no job of a template runs. Raises TidemillError."""
        if not self._is_used:
            return []
        self._is_used = False
        steady = [one for one in self._link.run(self._scripts.hottest(_MOST_HOT)) if is_steady(one)]
        names = {one.name for one in steady}
        self._versions.ask(name for name in names if self._versions.pointers.get(name) is None)
        newest = [request for name in sorted(names) for request in self._versions.current(name)]
        return [*self._missing(newest), *self._requests(steady)][: self._versions.half_entries]

    def _requests(self, hot: Sequence[Hot]) -> list[Request]:
        """The task is the server's word; without it nothing could be verified."""
        found: list[Request] = []
        for one in hot:
            pointers = self._versions.pointers.get(one.name)
            if pointers is not None:
                found.append(Request(Key(one.name, one.number), pointers.task, None))
        return self._missing(found)

    def _missing(self, requests: Iterable[Request]) -> list[Request]:
        return [request for request in requests if not self._versions.has(request)]


def is_steady(hot: Hot) -> bool:
    """It is used all day, and is nearly always held: then it is worth its room."""
    is_hit = hot.hits >= settings.KEEP_WARM_HIT_RATIO * hot.uses
    return hot.daily_uses >= settings.KEEP_WARM_DAILY_USES and hot.uses > 0 and is_hit
