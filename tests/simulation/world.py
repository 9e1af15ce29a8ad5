"""A simulated world: a real server with clocks of its own, where one command is in flight at a time.

Everything that a server knows of time is taken from the driver's clocks: scripts are handed `now_ms`, and what asks for
the uptime is answered from them. After each command that may have changed something the whole state is read and
compared with the state before it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from simulation import changes, places
from simulation.changes import Change, arguments_of
from simulation.clocks import Clocks
from simulation.ledger import Asked, Ledger, Violation
from simulation.snapshot import Camera, Snapshot
from tidemill import Tidemill
from tidemill.connection import Line, open_line
from tidemill.connection.attempts import checked, driver_errors_mapped
from tidemill.wire.command import Command
from tidemill.wire.keys import Keys
from tidemill.wire.script import Script
from tidemill.wire.scripts import Kept, Scripts

T = TypeVar("T")

QUEUES: Final = ("a", "b")
# Every worker knows the first; only some know the second.
TASKS: Final = ("common", "rare")
LEASE_MS: Final = 10_000
# Few and short, so that retention has something to do.
KEPT: Final = Kept(ttl_ms=30_000, most=5)

_READ_ONLY: Final = frozenset({"survey", "measure"})
# Where the ids of the jobs that a script may make begin in ARGV, and how far apart they are.
_MAKERS: Final = {"enqueue": (12, 3), "tick": (11, 1)}


class Connection:
    """To a real server; worlds follow each other on it."""

    def __init__(self, url: str) -> None:
        self.mill = Tidemill(url)
        self.line: Line = open_line(self.mill.client.target)
        self.loaded: set[object] = set()  # digests of scripts that the server has

    def close(self) -> None:
        self.line.close()
        self.mill.close()


def _takes_time(script: Script) -> bool:
    return "clock(ARGV[1])" in script.text


def _nobody() -> Collection[str]:
    return ()


@dataclass
class World:
    """`chance` makes every decision; `healthy` answers which incarnations may never be taken for dead."""

    connection: Connection
    chance: random.Random
    clocks: Clocks = field(default_factory=Clocks)
    ledger: Ledger = field(default_factory=Ledger)
    scripts: Scripts = field(default_factory=lambda: Scripts(Keys(), KEPT))
    healthy: Callable[[], Collection[str]] = _nobody

    def __post_init__(self) -> None:
        self.camera = Camera(self.scripts.keys, QUEUES, TASKS)
        self.state = Snapshot()
        self.connection.line.exchange([Command(("FLUSHALL",), lambda reply: reply)])

    # -- commands -----------------------------------------------------------------------------------------------

    def apply(self, actor: str, command: Command[T]) -> T:
        """The server executes it. Raises what the answer means for a caller, and Violation."""
        script = command.script
        if command.words[0] == "INFO":
            return command.parse(f"uptime_in_seconds:{self.clocks.uptime_seconds()}\r\n")
        if script is None:
            reply = self._exchange(_without_block(command))[0]
        else:
            if _takes_time(script):
                command = self._at_our_time(command)
            self._expect_jobs(script.name, command)
            reply = self._change(script.name, command)
        answer = self._answer(command, reply)
        self.ledger.note(self.clocks.now_ms, actor, f"{_described(command)} -> {answer!r}")
        return answer

    def _answer(self, command: Command[T], reply: object) -> T:
        with driver_errors_mapped(self.connection.mill.client.target):
            return command.parse(checked([reply])[0])

    def _exchange(self, command: Command[Any], *others: Command[Any]) -> list[Any]:
        with driver_errors_mapped(self.connection.mill.client.target):
            return self.connection.line.exchange([command, *others])

    def _change(self, name: str, command: Command[Any]) -> object:
        """Sends it with a look at the state behind it, and checks what has changed."""
        if name in _READ_ONLY:
            return self._exchange(command)[0]
        look = self.camera.command()
        reply, seen = self._exchange_both(command, look)
        before, self.state = self.state, look.parse(checked([seen])[0])
        if not isinstance(reply, Exception):
            answer = command.parse(reply)
            change = Change(name, arguments_of(command), before, self.state, answer, self.clocks.now_ms)
            try:
                changes.check(change, self.ledger, self.healthy())
                if before is not self.state:
                    places.check(self.state, self.ledger, self.clocks.latest_ms)
            except Violation:
                self.ledger.note(self.clocks.now_ms, "!", f"{_described(command)} -> {answer!r}")
                raise
        return reply

    def _exchange_both(self, command: Command[Any], look: Command[Any]) -> list[Any]:
        """In one round trip, unless the line has to load the script first and would send the command after the look."""
        if self.connection.loaded.issuperset((command.words[1], look.words[1])):
            return self._exchange(command, look)
        self.connection.loaded |= {command.words[1], look.words[1]}
        self.ledger.sometimes["script loaded"] += 1
        return [*self._exchange(command), *self._exchange(look)]

    def flush_scripts(self) -> None:
        """The server forgets them."""
        self._exchange(Command(("SCRIPT", "FLUSH"), str))
        self.connection.loaded.clear()

    def look(self) -> None:
        """Reads the state anew, after something that no command of the product did."""
        look = self.camera.command()
        self.state = look.parse(checked(self._exchange(look))[0])

    def _at_our_time(self, command: Command[T]) -> Command[T]:
        words = list(command.words)
        place = 3 + int(words[2])
        if words[place] == "":
            words[place] = self.clocks.now_ms
        return replace(command, words=tuple(words))

    def _expect_jobs(self, name: str, command: Command[Any]) -> None:
        if name in _MAKERS:
            first, width = _MAKERS[name]
            for job_id in arguments_of(command)[first::width]:
                self.expect(Asked(job_id))

    def expect(self, asked: Asked) -> Asked:
        """From now on this job may exist."""
        self.camera.job_ids.setdefault(asked.id)
        return self.ledger.jobs.setdefault(asked.id, asked)

    def note(self, actor: str, what: str) -> None:
        self.ledger.note(self.clocks.now_ms, actor, what)


def _without_block(command: Command[T]) -> Command[T]:
    """A read that would wait returns at once: the driver decides when something comes."""
    words = list(command.words)
    if "BLOCK" in words:
        place = words.index("BLOCK")
        del words[place : place + 2]
    return replace(command, words=tuple(words))


def _described(command: Command[Any]) -> str:
    if command.script is None:
        return " ".join(str(word) for word in command.words)
    return f"{command.script.name}({', '.join(word[:24] for word in arguments_of(command)[1:])})"
