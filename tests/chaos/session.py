"""A chaos run: a server, the network before it, a fleet, a nemesis; then healing, draining, and a look at it all."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chaos import figures, reading, witness
from chaos.checker import check
from chaos.history import Line, Recorder, read
from chaos.nemesis import WORKERS, Nemesis
from chaos.network import Network
from chaos.processes import APP, Fleet, Process
from conditions import eventually
from servers import Server
from tidemill import Tidemill

# Between two looks at the fleet and the nemesis.
_STEP_SECONDS: Final = 0.02
# Buried poison has gone through several leases, starts of workers and waits for an idle one.
DRAIN_SECONDS: Final = 90.0
_START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run. `workers` alone, `supervised` workers with a supervisor each.

    It goes on until there were `least_faults`, however slow the machine is.
    """

    seconds: float
    seed: int
    directory: Path
    flavour: str | None = None
    lease_seconds: float = 2.0
    workers: int = 3
    supervised: int = 1
    schedulers: int = 2
    producers: int = 2
    jobs_per_second: float = 30.0
    app: str = APP
    least_faults: int = 0


class Session:
    """`run` once; or its steps, with work of another kind: see `drain.py`."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        (plan.directory / "effects").mkdir(parents=True)
        # A kill must not lose what was acknowledged: that is the disk's part, and measured elsewhere.
        self.server = Server(plan.flavour, "--appendfsync", "always")
        self._socket = self.server.directory / "s"
        self.network = Network(self._socket, plan.seed)
        self._recorder = Recorder(plan.directory, "nemesis")
        self._follower = witness.Follower(self._socket, self._recorder, plan.lease_seconds)
        self._fleet = Fleet(self._recorder, list(self._processes()))
        self.nemesis = Nemesis(self._recorder, self.server, self.network, self._fleet, plan.lease_seconds, plan.seed)
        self.remarks: list[str] = []
        self._drain_seconds = 0.0

    def _processes(self) -> Iterator[Process]:
        plan = self._plan
        log = ("--log-format=json", "--log-level=info")
        worker = ("tidemill", "worker", plan.app, f"--lease={plan.lease_seconds}", "--concurrency=8", "--grace=2")
        scheduler = ("tidemill", "scheduler")
        producer = ("chaos.producer", str(plan.seed), str(plan.jobs_per_second))
        wanted = [
            ("worker", plan.workers, (*worker, "--child-processes=1", "--no-supervisor", *log)),
            ("supervised", plan.supervised, (*worker, "--child-processes=1", *log)),
            ("scheduler", plan.schedulers, (*scheduler, *log)),
            ("producer", plan.producers, producer),
        ]
        for role, count, command in wanted:
            for number in range(count):
                yield Process(role, f"{role}-{number}", command, plan.directory, self.network.url)

    # -- the run ------------------------------------------------------------------------------------------------

    def run(self) -> figures.Outcome:
        try:
            self.start()
            until = time.monotonic() + self._plan.seconds
            least = self._plan.least_faults
            self.disturb(lambda: time.monotonic() >= until and self.nemesis.count.total() >= least)
            self.heal_and_drain()
            self.stop()
            return self.look()
        finally:
            self.close()

    def close(self) -> None:
        self._fleet.kill()
        self.network.close()
        self.server.close()
        self._recorder.close()

    def start(self) -> None:
        """The fleet, also again after `stop`."""
        if not self._follower.is_alive():
            self._follower.start()
        self._fleet.come()
        self._await_workers()

    def _await_workers(self) -> None:
        """All of them: a process that has just been started does not know yet how to stop."""
        expected = self._plan.workers + self._plan.supervised
        with Tidemill(f"unix://{self._socket}") as mill:
            eventually(lambda: len(mill.inspect.workers()) == expected, "the workers have come", _START_SECONDS)
        eventually(lambda: all(map(self._is_started, self._fleet.of("scheduler"))), "so have the schedulers")

    def tend(self) -> None:
        self._fleet.tend()

    def disturb(self, is_over: Callable[[], bool]) -> None:
        """Faults, until then."""
        pause = threading.Event()
        while not is_over():
            self.nemesis.step()
            self._fleet.tend()
            pause.wait(_STEP_SECONDS)

    def heal_and_drain(self) -> None:
        self.nemesis.heal()
        began = time.monotonic()
        for name, code in self._fleet.leave("producer").items():
            if code not in (0, -signal.SIGTERM):  # one that has just been started does not know yet how to stop
                self.remarks.append(f"{name} did not stop when it was told to: exit code {code}")

        def is_drained() -> bool:
            self._fleet.tend()
            return not witness.work_left(self.server)

        try:
            eventually(is_drained, "everything has ended", DRAIN_SECONDS)
        except AssertionError as error:
            self.remarks.append(str(error))
        self._drain_seconds = time.monotonic() - began

    def stop(self) -> None:
        self._await_workers()
        for name, code in {**self._fleet.leave(*WORKERS), **self._fleet.leave("scheduler")}.items():
            if code != 0:
                self.remarks.append(f"{name} did not stop in order: exit code {code}")

    def _is_started(self, process: Process) -> bool:
        return "scheduler.started" in (self._plan.directory / f"{process.name}.log").read_text(encoding="utf-8")

    # -- afterwards ---------------------------------------------------------------------------------------------

    def examine_server(self) -> None:
        """What is left in it, and what should not be."""
        self.remarks += [f"undocumented key {key}" for key in witness.undocumented_keys(self.server)]
        self.remarks += witness.left_behind(self.server)
        with Tidemill(f"unix://{self._socket}") as mill:
            self.remarks += [f"the doctor found {one.kind} {one.key}: {one.seen}" for one in mill.doctor().findings]

    def look(self) -> figures.Outcome:
        self._follower.close()
        witness.take_census(self.server, self._recorder)
        self.examine_server()
        directory = self._plan.directory
        effects = [path.name for path in (directory / "effects").iterdir()]
        logs, oddities = read_logs(directory)
        history = reading.History(read(directory), effects, logs)
        self.remarks += [what for name, what in oddities if not history.was_killed(name)][:20]
        network = {"lost reply": self.network.lost_replies, "cut connection": self.network.cut_connections}
        return figures.Outcome(
            seed=self._plan.seed,
            server=witness.version(self.server),
            lease_seconds=self._plan.lease_seconds,
            seconds=self._plan.seconds,
            history=history,
            faults=self.nemesis.count,
            violations=check(history),
            remarks=self.remarks,
            drain_seconds=self._drain_seconds,
            missed_events=witness.missed_events(self.server, self._follower),
            sometimes=figures.seen_sometimes(history, network),
            memory=f"{witness.used_memory(self.server) / 1e6:.1f} MB at the end",
        )


def read_logs(directory: Path) -> tuple[list[Line], list[tuple[str, str]]]:
    """What was logged, and what no process should have written: (name, line) of a traceback."""
    found: list[Line] = []
    oddities: list[tuple[str, str]] = []
    for path in sorted(directory.glob("*.log")):
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line: Any = json.loads(text)
            except ValueError:
                oddities.append((path.stem, f"{path.name}: {text[:300]}"))
                continue
            found.append(line)
    return found, oddities
