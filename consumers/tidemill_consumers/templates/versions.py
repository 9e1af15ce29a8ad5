"""The versions that this worker holds, and how they come from the server. The loader's alone, but for `cache.get`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from tidemill import telemetry
from tidemill.connection import Link
from tidemill.errors import CorruptRecord
from tidemill.telemetry import Event
from tidemill.wire.command import Command
from tidemill.wire.scripts import Scripts
from tidemill.wire.templating import Pointers
from tidemill_consumers.cache import Cache, Reason
from tidemill_consumers.templates.building import Builder, Refused, Unknown
from tidemill_consumers.templates.pointers import Held, KnownPointers, current, superseded
from tidemill_consumers.templates.version import REFERENCE_DIGEST_BYTES, Key, Resolved

# Versions, or pointers, of one round trip: contents may have a megabyte each, and jobs wait for the first of them.
_PAGE: Final = 32


class Request(NamedTuple):
    """task: of the template. digest: its first 8 bytes, as they must be; None: whatever the server has."""

    key: Key
    task: str
    digest: bytes | None


class Versions:
    def __init__(self, link: Link, scripts: Scripts, builder: Builder, max_entries: int, max_bytes: int) -> None:
        self.cache: Cache[Key, Resolved] = Cache(max_entries, max_bytes, on_evict=self._gone)
        self.pointers = KnownPointers()
        self._link = link
        self._scripts = scripts
        self._builder = builder
        self._held = Held()
        self.half_entries: Final = max_entries // 2
        self._half_bytes: Final = max_bytes // 2

    def early_room(self) -> int:
        """How many versions may come before any job wants them: they take half of the cache at most, and as much more
        as those take that come together."""
        stats = self.cache.stats()
        return 0 if stats.bytes >= self._half_bytes else max(0, self.half_entries - stats.entries)

    def met(self) -> set[str]:
        """The names of the templates that this worker has to do with."""
        return {*self.pointers.names(), *self._held.names()}

    def has(self, request: Request) -> bool:
        version = self.cache.peek(request.key)
        return version is not None and request.digest in (None, version.digest)

    def current(self, name: str) -> list[Request]:
        """The newest version and those that have a label."""
        pointers = self.pointers.get(name)
        if pointers is None:
            return []
        digests = current(pointers)
        return [
            Request(Key(name, number), pointers.task, digest[:REFERENCE_DIGEST_BYTES])
            for number, digest in digests.items()
        ]

    def ask(self, names: Iterable[str]) -> None:
        """Reads which versions of these are current. Raises TidemillError."""
        asked = sorted(names)
        for first in range(0, len(asked), _PAGE):
            page = asked[first : first + _PAGE]
            answers = self._run_all([self._scripts.look_template(name) for name in page])
            for name, found in zip(page, answers, strict=True):
                self.pointers.put(name, found if isinstance(found, Pointers) else None)

    def refresh(self, names: Iterable[str]) -> list[Request]:
        """Something has changed in these: what a newer version has taken the place of goes. Returns what is to come in
        its place. Raises TidemillError."""
        changed = set(names) & self.met()
        self.ask(changed)
        wanted: list[Request] = []
        for name in sorted(changed):
            pointers, held = self.pointers.get(name), self._held.of(name)
            if pointers is None or not held:
                continue
            for number in superseded(pointers, held):
                self.cache.discard(Key(name, number))
            wanted += [request for request in self.current(name) if not self.has(request)]
        return wanted

    def load(self, requests: Sequence[Request]) -> dict[Request, Resolved | Unknown | Refused]:
        """What came of each. It is held from then on, if there is room. Raises TidemillError."""
        found: dict[Request, Resolved | Unknown | Refused] = {}
        for first in range(0, len(requests), _PAGE):
            page = requests[first : first + _PAGE]
            began = time.monotonic()
            stored = self._run_all([self._scripts.read_template(*request.key) for request in page])
            for request, content in zip(page, stored, strict=True):
                found[request] = self._build(request, content, began)
        return found

    def _build(self, request: Request, stored: bytes | None, began: float) -> Resolved | Unknown | Refused:
        key = request.key
        outcome: telemetry.LoadOutcome = "loaded"
        found: Resolved | Unknown | Refused
        try:
            found = self._builder.build(key, request.task, request.digest, stored)
        except Unknown as error:
            outcome, found = "unknown", error
        except Refused as error:
            outcome, found = "refused", error
            telemetry.event(Event.TEMPLATE_REFUSED, template=key.name, version=key.number, reason=error.why)
        else:
            if self.cache.put(key, found, found.size_bytes):
                self._held.add(*key)
            else:
                self._held.remove(*key)
        telemetry.template_loaded(outcome, time.monotonic() - began)
        return found

    def _gone(self, key: Key, _: Resolved, reason: Reason) -> None:
        if reason != "replaced":
            self._held.remove(*key)

    def _run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """Replies; None for one that no Tidemill wrote, which is as good as none."""
        return self._link.run_all([replace(command, parse=_tolerant(command)) for command in commands])


def _tolerant(command: Command[Any]) -> Any:
    def parse(reply: Any) -> Any:
        try:
            return command.parse(reply)
        except CorruptRecord:
            return None

    return parse
