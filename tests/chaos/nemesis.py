"""The nemesis: one fault after the other, of all kinds in turn, drawn from a seed.

A kind whose target is not there just now (all workers are being started again) is left for the next round. Clock jumps
of the server are not among them: they need a library in front of the server; the simulation moves the clock.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import redis

from chaos.history import Recorder
from chaos.network import Network
from chaos.processes import Fleet, Process
from servers import Server

WORKERS: Final = ("worker", "supervised")
# From one fault to the next.
LEAST_PAUSE_SECONDS: Final = 0.3
MOST_PAUSE_SECONDS: Final = 1.5
# A worker that is stopped for so many leases is taken for dead.
LEAST_STOPPED_LEASES: Final = 1.2
MOST_STOPPED_LEASES: Final = 2.5
ENOUGH_MEMORY: Final = "512mb"
# The server is out of reach for as long as a lease at most, and for as long within reach before the next time: what a
# fleet does within a lease can only be seen while there is a server.
LONGEST_OUTAGE_LEASES: Final = 1.0
APART_LEASES: Final = 1.0

Fault = Callable[[], bool]


class Nemesis:
    """`step` once in a while; `heal` at the end. Only from one thread."""

    def __init__(
        self, recorder: Recorder, server: Server, network: Network, fleet: Fleet, lease_seconds: float, seed: int
    ) -> None:
        self._recorder = recorder
        self._server = server
        self._network = network
        self._fleet = fleet
        self._lease_seconds = lease_seconds
        self._random = random.Random(seed)
        self._round: list[str] = []
        self._undo: list[tuple[float, Callable[[], object]]] = []
        self._next_at = time.monotonic()
        self._within_reach_at = 0.0
        self.count: Counter[str] = Counter()
        self.kinds: dict[str, Fault] = {
            "kill worker": lambda: self._kill(*WORKERS),
            "kill supervised process": self._kill_child,
            "kill scheduler": self._kill_scheduler,
            "kill producer": lambda: self._kill("producer"),
            "stop worker past its lease": lambda: self._stop(*WORKERS),
            "stop scheduler": self._stop_scheduler,
            "stop producer": lambda: self._stop("producer"),
            "stop worker past its lease, then kill": self._stop_and_kill,
            "terminate worker": lambda: self._kill(*WORKERS, number=signal.SIGTERM),
            "kill server": self._kill_server,
            "lose replies": self._lose_replies,
            "cut connections": self._cut,
            "cut at a byte": self._cut_at_byte,
            "swallow": lambda: self._cut_off("swallow", self._network.swallow),
            "stall": lambda: self._cut_off("stall", self._network.stall),
            "single bytes": lambda: self._disturb("single bytes", self._network.split, 0.5, 2),
            "delay": self._delay,
            "kill clients": lambda: self._command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
            "flush scripts": lambda: self._command("SCRIPT", "FLUSH"),
            "full memory": self._fill_memory,
            "pause clients": self._pause_clients,
            "server stands still": self._stand_still,
        }

    # -- when ---------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Ends what is to end; brings the next fault when it is time."""
        now = time.monotonic()
        for entry in [entry for entry in self._undo if entry[0] <= now]:
            self._undo.remove(entry)
            entry[1]()
        if now >= self._next_at:
            self._inject()
            self._next_at = time.monotonic() + self._random.uniform(LEAST_PAUSE_SECONDS, MOST_PAUSE_SECONDS)

    def _inject(self) -> None:
        if not self._round:
            self._round = list(self.kinds)
            self._random.shuffle(self._round)
        # What is left of the round may have to wait: something else then, once more.
        others = [kind for kind in self.kinds if kind not in self._round]
        self._random.shuffle(others)
        for kind in [*self._round, *others]:
            if self.kinds[kind]():
                if kind in self._round:
                    self._round.remove(kind)
                self.count[kind] += 1
                return

    def heal(self) -> None:
        """Ends all faults."""
        for _, undo in self._undo:
            undo()
        self._undo.clear()
        self._network.heal()
        if self._server.process.poll() is not None:
            self._server.start()
        self._command("CLIENT", "UNPAUSE")
        self._command("CONFIG", "SET", "maxmemory", ENOUGH_MEMORY)
        for process in self._fleet.of(*WORKERS, "scheduler", "producer"):
            for pid in [None, *process.children()]:
                process.send(signal.SIGCONT, pid)
        self._recorder.write("healed")

    def _note(self, kind: str, target: Process | None = None, pid: int | None = None, seconds: float = 0) -> None:
        name = target.name if target else None
        self._recorder.write("fault", kind=kind, target=name, pid=pid, seconds=round(seconds, 3))

    def _later(self, seconds: float, undo: Callable[[], object]) -> bool:
        self._undo.append((time.monotonic() + seconds, undo))
        return True

    # -- processes ----------------------------------------------------------------------------------------------

    def _pick(self, *roles: str) -> Process | None:
        found = self._fleet.up(*roles)
        return self._random.choice(found) if found else None

    def _kill(self, *roles: str, number: int = signal.SIGKILL) -> bool:
        target = self._pick(*roles)
        if target is None:
            return False
        self._note("kill" if number == signal.SIGKILL else "terminate", target)
        target.send(number)
        return True

    def _kill_scheduler(self) -> bool:
        """One is left: a fleet without any recovers nothing."""
        return len(self._fleet.up("scheduler")) > 1 and self._kill("scheduler")

    def _stop_scheduler(self) -> bool:
        return len(self._fleet.up("scheduler")) > 1 and self._stop("scheduler")

    def _kill_child(self) -> bool:
        """A worker process, whose supervisor sees it die."""
        target = self._pick("supervised")
        children = target.children() if target else []
        if target is None or not children:
            return False
        self._note("kill", target, children[0])
        target.send(signal.SIGKILL, children[0])
        return True

    def _stop(self, *roles: str) -> bool:
        target = self._pick(*roles)
        if target is None:
            return False
        self._freeze(target)
        leases = self._random.uniform(LEAST_STOPPED_LEASES, MOST_STOPPED_LEASES)
        return self._later(leases * self._lease_seconds, lambda: self._unfreeze(target))

    def _stop_and_kill(self) -> bool:
        """What the server sends to it meanwhile, nobody reads."""
        target = self._pick("worker")
        if target is None:
            return False
        self._freeze(target)
        leases = self._random.uniform(LEAST_STOPPED_LEASES, MOST_STOPPED_LEASES)

        def kill() -> None:
            self._note("kill", target)
            target.send(signal.SIGKILL)

        return self._later(leases * self._lease_seconds, kill)

    def _freeze(self, target: Process) -> None:
        self._note("stop", target)
        # A supervisor alone would stop too little, its worker alone too: the machine stands still.
        for pid in [None, *target.children()]:
            target.send(signal.SIGSTOP, pid)

    def _unfreeze(self, target: Process) -> None:
        for pid in [*target.children(), None]:
            target.send(signal.SIGCONT, pid)
        self._note("continue", target)

    # -- network ------------------------------------------------------------------------------------------------

    def _lose_replies(self) -> bool:
        self._note("lose replies")
        self._network.lose_replies(self._random.uniform(0.05, 0.2))
        return True

    def _cut(self) -> bool:
        if not self._network.cut(self._random.choice([0.3, 1])):
            return False
        self._note("cut")
        return True

    def _cut_at_byte(self) -> bool:
        self._note("cut at a byte")
        self._network.cut_at_byte(0.6)
        return True

    def _delay(self) -> bool:
        seconds = self._random.uniform(0.02, 0.3)
        return self._disturb("delay", lambda: self._network.delay(seconds), 0.5, 2)

    def _disturb(self, kind: str, begin: Callable[[], None], least_seconds: float, most_seconds: float) -> bool:
        seconds = self._random.uniform(least_seconds, most_seconds)
        self._note(kind, seconds=seconds)
        begin()
        return self._later(seconds, self._network.heal)

    def _cut_off(self, kind: str, begin: Callable[[], None]) -> bool:
        seconds = self._outage(0.3)
        return seconds > 0 and self._disturb(kind, begin, seconds, seconds)

    # -- server -------------------------------------------------------------------------------------------------

    def _outage(self, least_seconds: float) -> float:
        """For how long the server is to be out of reach; 0: not now."""
        now = time.monotonic()
        if now < self._within_reach_at + APART_LEASES * self._lease_seconds:
            return 0.0
        seconds = self._random.uniform(least_seconds, LONGEST_OUTAGE_LEASES * self._lease_seconds)
        self._within_reach_at = now + seconds
        return seconds

    def _kill_server(self) -> bool:
        seconds = self._outage(0.1)
        if not seconds:
            return False
        self._note("kill server", seconds=seconds)
        self._server.kill()
        return self._later(seconds, self._server.start)

    def _command(self, *words: Any, seconds: float = 0) -> bool:
        """False: the server is down. `seconds`: for how long it answers nobody."""
        began = time.time()
        try:
            self._server.client.execute_command(*words)
        except redis.RedisError:
            return False
        self._recorder.write(
            "fault", t=began, kind=" ".join(map(str, words)), target=None, pid=None, seconds=round(seconds, 3)
        )
        return True

    def _pause_clients(self) -> bool:
        seconds = self._outage(0.3)
        return seconds > 0 and self._command("CLIENT", "PAUSE", int(seconds * 1000), "ALL", seconds=seconds)

    def _fill_memory(self) -> bool:
        """No job is accepted; those that are there go on."""
        return self._command("CONFIG", "SET", "maxmemory", 1) and self._later(
            self._random.uniform(0.3, 1.5), lambda: self._command("CONFIG", "SET", "maxmemory", ENOUGH_MEMORY)
        )

    def _stand_still(self) -> bool:
        seconds = round(self._outage(0.2), 2)
        return seconds > 0 and self._command("DEBUG", "SLEEP", seconds, seconds=seconds)
