"""A breaker in one process: lets calls through or refuses them, and is told what came of them."""

from __future__ import annotations

import threading
import time
from asyncio import wrap_future
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, ParamSpec, TypeVar

from tidemill import telemetry
from tidemill.breakers import blocks
from tidemill.breakers.settings import BreakerSettings
from tidemill.breakers.standing import UNKNOWN, Standing, heard, probing, recovered, tripped
from tidemill.context import CURRENT
from tidemill.errors import BreakerOpen, JobCancelled
from tidemill.ids import new_id
from tidemill.telemetry import Event
from tidemill.wire.scripts import BreakerState, News

if TYPE_CHECKING:
    from tidemill.breakers.hub import Hub
    from tidemill.breakers.rules import Rules

P = ParamSpec("P")
R = TypeVar("R")

Verdict = Literal["succeeded", "failed", "nothing"]
"""What a call says of the dependency. "nothing": it was cancelled, or did not come to the dependency."""

# The permit of a probe that this process has let through by itself, since the server is away.
_OWN: Final = "own"
_EVENTS: Final = {
    "open": Event.BREAKER_OPENED,
    "half_open": Event.BREAKER_HALF_OPEN,
    "closed": Event.BREAKER_CLOSED,
}


class Call:
    """A call that was let through; `ended` is called once. `permit`: of a probe."""

    __slots__ = ("_breaker", "epoch", "permit")

    def __init__(self, breaker: Breaker, epoch: int, permit: str = "") -> None:
        self._breaker = breaker
        self.epoch: Final = epoch
        self.permit: Final = permit

    def ended(self, verdict: Verdict, seconds: float) -> None:
        """Never blocks and never raises."""
        self._breaker.ended(self, verdict, seconds)


class Breaker:
    """Made by `mill.breaker`. `with breaker:`, `async with breaker:`, or a decorator of a function.

    A call that the breaker does not let through raises BreakerOpen. Of one that it does, an exception is a failure,
    unless it is excluded; a cancellation is neither failure nor success. Inside a job whose task declares this breaker
    the job itself is the call: the block is refused while the breaker is open, and counts nothing.
    """

    def __init__(
        self, name: str, settings: BreakerSettings, hub: Hub, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name: Final = name
        self.settings: Final = settings
        self._hub = hub
        self._clock = clock
        self._lock = threading.Lock()
        self._standing = UNKNOWN
        self._rules_or_none: Rules | None = None
        self._own_probes = self._own_passed = 0

    def __repr__(self) -> str:
        return f"<Breaker {self.name}: {self.state}>"

    @property
    def state(self) -> BreakerState:
        """As this process knows it: "closed", "open" or "half_open". Costs nothing."""
        return self._standing.state

    @property
    def retry_after(self) -> float:
        """For how many seconds a call would be refused without asking anybody; 0.0: it would be tried."""
        standing = self._standing
        return 0.0 if standing.state == "closed" else max(0.0, standing.due - self._clock())

    # -- calls --------------------------------------------------------------------------------------------------

    def begin(self) -> Call:
        """Lets a call through, or raises BreakerOpen. Asks the server only when the breaker may be half-open."""
        self._hub.join()
        call = self._let_through()
        if call is None:
            permit, before = new_id(), self._standing
            asked = self._hub.ask(self, permit)
            try:
                answer = self._hub.answer(asked)
            except BaseException:  # this thread is interrupted
                self._hub.forgo(self, permit, asked)
                raise
            call = self._answered(permit, answer, before)
        return call

    async def abegin(self) -> Call:
        """`begin` for async code."""
        await self._hub.ajoin()
        call = self._let_through()
        if call is None:
            permit, before = new_id(), self._standing
            asked = self._hub.ask(self, permit)
            try:
                answer = await wrap_future(asked)
            except BaseException:  # it is cancelled
                self._hub.forgo(self, permit, asked)
                raise
            call = self._answered(permit, answer, before)
        return call

    def _let_through(self) -> Call | None:
        """None: it is to be asked for."""
        standing = self._standing
        if standing.state == "closed":
            return Call(self, standing.epoch)
        if standing.due > self._clock():
            raise self.refusal()
        return None

    def _answered(self, permit: str, answer: tuple[News, bool] | None, before: Standing) -> Call:
        """`before`: what was so when it was asked for."""
        if answer is None:
            return self._probe_alone()
        news, is_given = answer
        self.hear(news, is_answer=True, asked=None if is_given else before)
        if is_given:
            return Call(self, news.epoch, permit)
        standing = self._standing
        if standing.state == "closed":
            return Call(self, standing.epoch)
        raise self.refusal()

    def refusal(self) -> BreakerOpen:
        """What a call is told that is not let through. It is counted."""
        telemetry.breaker_refused(self.name)
        return BreakerOpen(self.name, self._standing.reason, retry_after=self.retry_after)

    def _probe_alone(self) -> Call:
        with self._lock:
            before = self._standing
            if not (before.is_local and before.state == "half_open"):
                self._own_probes = self._own_passed = 0
                self._standing = probing(before, self._clock())
            after = self._standing
            is_given = self._own_probes + self._own_passed < self.settings.half_open_max
            self._own_probes += is_given
        self._announce(before, after)
        if is_given:
            return Call(self, after.epoch, _OWN)
        telemetry.breaker_refused(self.name)
        raise BreakerOpen(self.name, after.reason, retry_after=self.settings.reset_timeout_ms / 1000)

    def judge(self, error: BaseException) -> Verdict:
        """What an exception that came out of a call says of the dependency."""
        if isinstance(error, BreakerOpen | JobCancelled):
            return "nothing"
        if not isinstance(error, Exception):
            job = CURRENT.get()  # its timeout cancels a coroutine
            is_late = job is not None and job.remaining is not None and job.remaining <= 0
            return "failed" if is_late else "nothing"
        try:
            return "failed" if self._rules.counts(error) else "succeeded"
        except Exception:  # noqa: BLE001 - a user's function that is to exclude errors
            return "failed"

    def ended(self, call: Call, verdict: Verdict, seconds: float) -> None:
        """See `Call.ended`."""
        is_slow = verdict == "succeeded" and self._rules.is_slow(seconds)
        telemetry.breaker_called(self.name, "slow" if is_slow else verdict)
        if call.permit == _OWN:
            self._own_ended(verdict, is_slow=is_slow)
        elif call.permit:
            self._hub.settle(self, call, "failed" if is_slow else "passed" if verdict == "succeeded" else verdict)
        elif verdict != "nothing":
            self._count(call, verdict, seconds)

    def _count(self, call: Call, verdict: Verdict, seconds: float) -> None:
        with self._lock:
            before = self._standing
            if before.state != "closed" or before.epoch != call.epoch:
                return  # late news
            reason = self._rules.record(failed=verdict == "failed", seconds=seconds)
            if reason:
                self._standing = tripped(before, self.settings, reason, self._clock())
            after = self._standing
        if reason:
            self._announce(before, after)
            self._hub.trip(self, after)

    def _own_ended(self, verdict: Verdict, *, is_slow: bool) -> None:
        with self._lock:
            before = self._standing
            self._own_probes -= 1
            if not before.is_local or before.state != "half_open":
                return
            if verdict == "failed" or is_slow:
                self._standing = tripped(before, self.settings, "probe", self._clock())
            elif verdict == "succeeded":
                self._own_passed += 1
                if self._own_passed >= self.settings.half_open_max:
                    self._standing = recovered(before)
                    self._rules.reset()
            after = self._standing
        self._announce(before, after)

    # -- for the hub --------------------------------------------------------------------------------------------

    @property
    def standing(self) -> Standing:
        return self._standing

    def hear(self, news: News, *, is_answer: bool = False, asked: Standing | None = None) -> None:
        """The server, or a message, has said how it is: see `heard`."""
        with self._lock:
            before = self._standing
            after = self._standing = heard(before, news, self._clock(), is_answer=is_answer, asked=asked)
            if after.state == "closed" and (before.state, before.epoch) != (after.state, after.epoch):
                self._rules.reset()
        self._announce(before, after)

    def trip_alone(self, reason: str) -> None:
        """A probe has failed, and nobody could be told."""
        with self._lock:
            before = self._standing
            after = self._standing = tripped(before, self.settings, reason, self._clock())
        self._announce(before, after)

    def after_fork(self) -> None:
        """Another thread may have held the lock when the process was forked."""
        self._lock = threading.Lock()

    def _announce(self, before: Standing, after: Standing) -> None:
        is_confirmed = before.is_local and before.state == after.state
        if before[:2] == after[:2] or is_confirmed or (after.state == "closed" == before.state):
            return
        telemetry.event(
            _EVENTS[after.state],
            breaker=self.name,
            reason=after.reason,
            delay_ms=round(1000 * max(0.0, after.due - self._clock())) if after.state == "open" else None,
            local=True if after.is_local else None,
        )
        self._hub.changed(self)

    @property
    def _rules(self) -> Rules:
        if self._rules_or_none is None:
            from tidemill.breakers.rules import Rules  # with pybreaker, which imports redis-py

            self._rules_or_none = Rules(self.name, self.settings, self._clock)
        return self._rules_or_none

    # -- blocks and functions -----------------------------------------------------------------------------------

    def __enter__(self) -> None:
        blocks.enter(None if self._is_jobs_own() else self.begin())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        blocks.leave(self, error)

    async def __aenter__(self) -> None:
        blocks.enter(None if self._is_jobs_own() else await self.abegin())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        blocks.leave(self, error)

    def _is_jobs_own(self) -> bool:
        """The job that runs here is the call already. Raises BreakerOpen if it would not be let through now."""
        job = CURRENT.get()
        if job is None or job.breaker is not self:
            return False
        self._hub.join()
        if self._standing.state == "open" and self.retry_after > 0:
            raise self.refusal()
        return True

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Decorates a plain or an async function: each of its calls is one through the breaker."""
        return blocks.decorated(self, function)
