"""Loads versions, in a thread of its own: however many jobs wait for one, it is loaded once.

What is done in a round: read anew what has changed, load what jobs wait for, then what they will want. While the server
is away the rounds are tried again, as long as there is something to do; what is held goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Final, Protocol

from tidemill.errors import TidemillError
from tidemill_consumers import pipeline, settings
from tidemill_consumers.background import background
from tidemill_consumers.contact import Contact
from tidemill_consumers.outcomes import Outcome
from tidemill_consumers.run import Run
from tidemill_consumers.templates.building import Refused, Unknown
from tidemill_consumers.templates.resolver import apply, choose
from tidemill_consumers.templates.usage import Usage
from tidemill_consumers.templates.version import Key, Resolved
from tidemill_consumers.templates.versions import Request, Versions
from tidemill_consumers.templates.waiting import WaitingRuns
from tidemill_consumers.templates.warming import Warming

# What is loaded before jobs want it comes in so small pieces that jobs which wait for something else come in between.
_PIECE: Final = 32
# How long `close` waits for the thread, which may wait for the server.
_JOIN_SECONDS: Final = 2.0


class Host(Protocol):
    """What the loader has to know of its worker. All calls may come from any thread."""

    def resolved(self, runs: list[Run]) -> None:
        """These have their version now."""
        ...

    def finished(self, run: Run, outcome: Outcome) -> None: ...
    def failed(self, role: str, error: BaseException) -> None: ...


class Loader:
    def __init__(
        self, versions: Versions, usage: Usage, warming: Warming, host: Host, contact: Contact, *, is_warming: bool
    ) -> None:
        self.waiting = WaitingRuns()
        self._versions = versions
        self._usage = usage
        self._warming = warming
        self._host = host
        self._contact = contact
        self._is_warming = is_warming
        self._heard: set[str] = set()
        self._early: dict[Key, Request] = {}  # to be loaded although no job waits
        self._has_work = False
        self._closing = False
        self._changed = threading.Condition()
        self._prepared = threading.Event()
        self._report_at = self._keep_at = 0.0
        self._thread = background("templates", self._serve, host.failed)

    # -- for other threads --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Waits until what the fleet uses most is held, for a bounded time; nothing depends on it."""
        self._thread.start()
        self._prepared.wait(settings.TEMPLATE_WARM_UP_SECONDS)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)

    def hold(self, run: Run) -> None:
        """Until its version is there."""
        self.waiting.add(run)
        self._wake()

    def changed(self, names: Iterable[str]) -> None:
        """What is current of these templates is not what it was. Many in a row are looked at together."""
        with self._changed:
            self._heard.update(names)
        self._wake()

    def connected(self) -> None:
        """From now on changes are heard; what was said before may have been missed."""
        self.changed(self._versions.met())

    def _wake(self) -> None:
        with self._changed:
            self._has_work = True
            self._changed.notify()

    # -- the thread ---------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            self._prepare()
        finally:
            self._prepared.set()
        delay_seconds = settings.TEMPLATE_RETRY_SECONDS
        self._report_at = time.monotonic() + settings.TEMPLATE_REPORT_SECONDS
        self._keep_at = time.monotonic() + settings.TEMPLATE_KEEP_WARM_SECONDS
        while self._next(self._report_at - time.monotonic()):
            try:
                self._round()
                self._contact.answered("templates")
                delay_seconds = settings.TEMPLATE_RETRY_SECONDS
            except TidemillError as error:
                self._contact.failed("templates", error)
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, delay_seconds)
                delay_seconds = min(2 * delay_seconds, settings.TEMPLATE_RETRY_CAP_SECONDS)
                self._wake()

    def _prepare(self) -> None:
        if self._is_warming:
            try:
                self._warming.prepare(time.monotonic() + settings.TEMPLATE_WARM_UP_SECONDS)
            except TidemillError:
                return  # versions are loaded when jobs want them

    def _next(self, seconds: float) -> bool:
        """Waits until there is something to do; False: it closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_work or self._closing, max(0.0, seconds))
            self._has_work = bool(self._early)
            return not self._closing

    def _round(self) -> None:
        self._refresh()
        self._load_wanted()
        self._load_early()
        now = time.monotonic()
        if now >= self._report_at:
            self._report_at = now + settings.TEMPLATE_REPORT_SECONDS
            self._warming.report()
        if self._is_warming and now >= self._keep_at:
            self._keep_at = now + settings.TEMPLATE_KEEP_WARM_SECONDS
            self._add_early(self._warming.to_keep())

    def _refresh(self) -> None:
        with self._changed:
            heard, self._heard = self._heard, set()
        if not heard:
            return
        try:
            self._add_early(self._versions.refresh(heard))
        except BaseException:
            self.changed(heard)
            raise

    def _add_early(self, requests: Iterable[Request]) -> None:
        self._early |= {request.key: request for request in requests}
        if self._early:
            self._wake()

    def _load_early(self) -> None:
        """A piece of it; what could not be loaded is a matter for the job that wants it."""
        piece = list(self._early.values())[:_PIECE]
        if piece:
            self._versions.load([request for request in piece if not self._versions.has(request)])
            for request in piece:
                self._early.pop(request.key, None)

    def _load_wanted(self) -> None:
        runs = self.waiting.all()
        if not runs:
            return
        pointers = self._versions.pointers
        late = {run.wanted.key.name for run in runs if run.wanted is not None and run.wanted.is_late}
        self._versions.ask(name for name in late if pointers.get(name) is None)
        wanted = {run: self._wanted(run) for run in runs}
        requests = {one for one in wanted.values() if isinstance(one, Request)}
        found = self._held(requests)
        found |= self._versions.load([request for request in requests if request not in found])
        resolved: list[Run] = []
        for run, one in wanted.items():
            if self.waiting.remove(run):
                self._end(run, found[one] if isinstance(one, Request) else one, resolved)
        self._host.resolved(resolved)

    def _held(self, requests: Iterable[Request]) -> dict[Request, Resolved | Unknown | Refused]:
        """What was loaded while they came to wait."""
        found: dict[Request, Resolved | Unknown | Refused] = {}
        for request in requests:
            version = self._versions.cache.peek(request.key)
            if version is not None and version.digest == request.digest:
                found[request] = version
        return found

    def _wanted(self, run: Run) -> Request | Unknown:
        wanted, taken = run.wanted, run.taken
        assert wanted is not None
        if not wanted.is_late:
            return Request(wanted.key, taken.task, wanted.digest)
        name = wanted.key.name
        pointers = self._versions.pointers.get(name)
        if pointers is None:
            return Unknown(f"template {name!r} is not published")
        chosen = choose(pointers, taken)
        if chosen is None:
            return Unknown(f"all versions of template {name!r} are retired")
        key, digest = chosen
        self._usage.count([key], [key])
        return Request(key, taken.task, digest)

    def _end(self, run: Run, found: Resolved | Unknown | Refused, resolved: list[Run]) -> None:
        wanted = run.wanted
        assert wanted is not None
        match found:
            case Unknown():
                self._host.finished(run, pipeline.parked(run.taken, found.reason, found.label))
                if wanted.is_late:  # when it is offered again, it is asked what is current then
                    self._versions.pointers.put(wanted.key.name, None)
            case Refused():
                self._host.finished(run, found.dead)
            case Resolved():
                outcome = apply(run, wanted, found)
                if outcome is None:
                    resolved.append(run)
                else:
                    self._host.finished(run, outcome)
