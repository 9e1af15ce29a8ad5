"""`mill.breakers`: a look at breakers, and a hand on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from tidemill import telemetry, validation
from tidemill.breakers.settings import Duration
from tidemill.dead_letters.hands import hand
from tidemill.telemetry import Event
from tidemill.wire.scripts import BreakerFigures, BreakerState, News

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

# A breaker that was opened by hand and forgotten probes by itself after this: an hour of maintenance, no lost weekend.
HAND_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class BreakerInfo:
    """A breaker as the server has it.

    retry_after: seconds until it may be half-open; 0.0: now, or it is not open. reason: of its last change: failures,
    error_rate, slow_calls, probe or hand. openings: since it was last closed. passed, probing: of its probes.
    changed: None for one that has not changed within a day.
    """

    name: str
    state: BreakerState
    retry_after: float
    reason: str
    openings: int
    passed: int
    probing: int
    changed: datetime | None


class Breakers:
    """`mill.breakers`. Every call has an a-twin."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> Sequence[BreakerInfo]:
        """Those that this process has declared, and those that have changed within a day, by name."""
        return self._client.run(self._list())

    async def alist(self) -> Sequence[BreakerInfo]:
        """`list` for async code."""
        return await self._client.arun(self._list())

    def show(self, name: str) -> BreakerInfo:
        """One that nobody has heard of is closed. Raises InvalidInput for what is no name."""
        return self._client.run(self._show(name))

    async def ashow(self, name: str) -> BreakerInfo:
        """`show` for async code."""
        return await self._client.arun(self._show(name))

    def open(
        self, name: str, *, duration: Duration = HAND_SECONDS, by: str | None = None, reason: str = ""
    ) -> BreakerInfo:
        """Opens it for all, for so long (a timedelta or seconds); then it is half-open, as any other.

        by, reason: who does it (user@host unless given) and why, for the audit. Raises InvalidInput.
        """
        return self._client.run(self._set(name, "open", duration, by, reason))

    async def aopen(
        self, name: str, *, duration: Duration = HAND_SECONDS, by: str | None = None, reason: str = ""
    ) -> BreakerInfo:
        """`open` for async code."""
        return await self._client.arun(self._set(name, "open", duration, by, reason))

    def close(self, name: str, *, by: str | None = None, reason: str = "") -> BreakerInfo:
        """Closes it for all, whatever has opened it. by, reason: as `open`."""
        return self._client.run(self._set(name, "closed", 0.0, by, reason))

    async def aclose(self, name: str, *, by: str | None = None, reason: str = "") -> BreakerInfo:
        """`close` for async code."""
        return await self._client.arun(self._set(name, "closed", 0.0, by, reason))

    def _list(self) -> Operation[Sequence[BreakerInfo]]:
        known: set[str] = set((yield self._client.scripts.breaker_names()))
        names = sorted(known.union(breaker.name for breaker in self._client.breakers.all()))
        if not names:
            return []
        figures: Sequence[BreakerFigures] = yield self._client.scripts.look_breakers(names)
        return [*map(_info, names, figures)]

    def _show(self, name: str) -> Operation[BreakerInfo]:
        name = validation.breaker_name(name)
        (figures,) = yield self._client.scripts.look_breakers([name])
        return _info(name, figures)

    def _set(
        self, name: str, state: Literal["open", "closed"], duration: Duration, by: str | None, reason: str
    ) -> Operation[BreakerInfo]:
        name, done_by = validation.breaker_name(name), hand(by, reason)
        for_ms = validation.duration_ms("duration", duration, zero=state == "closed")
        _: News = yield self._client.scripts.set_breaker(name, state, for_ms, done_by)
        telemetry.event(
            Event.BREAKER_SET,
            by=done_by.by,
            why=reason or None,
            operation=done_by.operation,
            breaker=name,
            state=state,
        )
        return (yield from self._show(name))


def _info(name: str, figures: BreakerFigures) -> BreakerInfo:
    news, changed_ms = figures.news, figures.changed_ms
    return BreakerInfo(
        name,
        news.state,
        news.wait_ms / 1000 if news.state == "open" else 0.0,
        news.reason,
        figures.openings,
        figures.passed,
        figures.permits,
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=changed_ms) if changed_ms else None,
    )
