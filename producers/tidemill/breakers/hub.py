"""All breakers of an application in one process: who they are, and what they say to the server.

While the server is away, nobody waits for it: what is asked for is answered at once, by nothing.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from tidemill import validation
from tidemill.breakers.breaker import Breaker, Call
from tidemill.breakers.exchange import ANSWER_SECONDS, Exchange
from tidemill.breakers.settings import BreakerOptions, BreakerSettings, settings_of
from tidemill.breakers.standing import Standing
from tidemill.errors import InvalidInput
from tidemill.target import Target
from tidemill.wire.command import Command
from tidemill.wire.scripts import News, ProbeOutcome, Scripts

Answer = tuple[News, bool] | None
"""Of who asks for a permit: what is so, and whether it was given. None: the server does not answer."""


class Hub:
    """`mill.client.breakers`."""

    def __init__(self, target: Target, scripts: Scripts) -> None:
        self._target = target
        self._scripts = scripts
        self._breakers: dict[str, Breaker] = {}
        self._watchers: list[Callable[[Breaker], None]] = []
        self._start_anew()
        _hubs.add(self)

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        self._exchange: Exchange | None = None

    # -- declaring ----------------------------------------------------------------------------------------------

    def declare(self, name: str, options: BreakerOptions) -> Breaker:
        """The breaker of this name. Raises InvalidInput for wrong options, or others than it was declared with."""
        with self._lock:
            known = self._breakers.get(name)
            if known is not None and not options:
                return known
            wanted = settings_of(options)
            if known is None:
                known = self._breakers[name] = Breaker(name, wanted, self)
            elif known.settings != wanted:
                raise InvalidInput(
                    f"breaker {name!r} is declared already, with {_difference(known.settings, wanted)}: declare it "
                    f"once, and get it elsewhere by mill.breaker({name!r})"
                )
            exchange = self._exchange
        if exchange is not None:
            exchange.post(None)
        return known

    def of(self, wanted: Breaker | str) -> Breaker:
        """That of a task's `breaker=`. Raises InvalidInput if it was not declared here."""
        name = wanted.name if isinstance(wanted, Breaker) else validation.breaker_name(wanted)
        with self._lock:
            found = self._breakers.get(name)
            names = ", ".join(sorted(self._breakers)) or "none so far"
        if found is None or (isinstance(wanted, Breaker) and wanted is not found):
            raise InvalidInput(
                f"breaker {name!r} is not declared ({names}): do it before the task, by mill.breaker({name!r}, ...)"
            )
        return found

    def all(self) -> list[Breaker]:
        return list(self._breakers.values())  # in one step: another thread may declare one

    # -- for breakers -------------------------------------------------------------------------------------------

    def join(self) -> None:
        """From the first call on, states are followed. The first one waits until they are known, a second at most."""
        exchange = self._exchange or self._begin()
        if not exchange.is_settled.is_set():
            exchange.is_settled.wait(ANSWER_SECONDS)

    async def ajoin(self) -> None:
        """`join` for async code."""
        exchange = self._exchange
        if exchange is None or not exchange.is_settled.is_set():
            await asyncio.to_thread(self.join)

    def ask(self, breaker: Breaker, permit: str) -> Future[Answer]:
        """For a permit. Never raises; answered within a second or so."""
        future = Future[Answer]()
        limits = breaker.settings
        lease_ms = limits.reset_timeout_ms
        command = self._scripts.probe_breaker(
            breaker.name, breaker.standing.epoch, permit, lease_ms, limits.half_open_max
        )

        def answered(answer: Answer) -> None:
            if future.set_running_or_notify_cancel():
                future.set_result(answer)
            else:
                self._give_back(breaker, permit, answer)

        self._post(command, answered)
        return future

    @staticmethod
    def answer(future: Future[Answer]) -> Answer:
        """Waits for it."""
        try:
            return future.result(2 * ANSWER_SECONDS)
        except TimeoutError:
            return None if future.cancel() else future.result()

    def forgo(self, breaker: Breaker, permit: str, future: Future[Answer]) -> None:
        """Nobody waits for the answer any more. It may be there by now, or be on its way."""
        if not future.cancel():
            future.add_done_callback(lambda done: self._give_back(breaker, permit, done.result()))

    def _give_back(self, breaker: Breaker, permit: str, answer: Answer) -> None:
        if answer is not None and answer[1]:
            self.settle(breaker, Call(breaker, answer[0].epoch, permit), "nothing")

    def trip(self, breaker: Breaker, standing: Standing) -> None:
        """This process has opened it. If nobody can be told now, it is told when the server is back."""
        command = self._scripts.trip_breaker(breaker.name, standing.epoch, standing.reason, breaker.settings.reopening)
        self._post(command, lambda news: None if news is None else breaker.hear(news, is_answer=True))

    def settle(self, breaker: Breaker, call: Call, outcome: ProbeOutcome) -> None:
        """What came of a probe."""
        limits = breaker.settings
        command = self._scripts.settle_probe(breaker.name, call.permit, outcome, limits.half_open_max, limits.reopening)

        def answered(news: News | None) -> None:
            if news is not None:
                breaker.hear(news)
            elif outcome == "failed" and breaker.standing.epoch == call.epoch:
                breaker.trip_alone("probe")

        self._post(command, answered)

    def changed(self, breaker: Breaker) -> None:
        for watcher in list(self._watchers):
            watcher(breaker)

    def watch(self, watcher: Callable[[Breaker], None]) -> Callable[[], None]:
        """Calls it, from any thread, when the state of a breaker changes here, until the result is called."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    # -- life ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """The next use starts anew, with what was known."""
        with self._lock:
            exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.close()

    @staticmethod
    def after_fork() -> None:
        """A fork has none of its parent's threads."""
        for hub in list(_hubs):
            hub._start_anew()
            for breaker in hub._breakers.values():
                breaker.after_fork()

    def _begin(self) -> Exchange:
        with self._lock:
            if self._exchange is None:
                self._exchange = Exchange(self._target, self._scripts, self.all)
                self._exchange.start()
            return self._exchange

    def _post(self, command: Command[Any], answered: Callable[[Any], None]) -> None:
        (self._exchange or self._begin()).post((command, answered))


_hubs: weakref.WeakSet[Hub] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Hub.after_fork)


def _difference(known: BreakerSettings, wanted: BreakerSettings) -> str:
    names = [name for name in BreakerSettings.__slots__ if getattr(known, name) != getattr(wanted, name)]
    return ", ".join(f"{name} {getattr(known, name)!r} and not {getattr(wanted, name)!r}" for name in names)
