"""A server and a fleet of the scenario's own choice, with their history. No network between them: nothing fails."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from chaos import reading, witness
from chaos.checker import check
from chaos.history import Recorder, read
from chaos.processes import Fleet, Process
from chaos.session import read_logs
from conditions import eventually
from servers import Server
from tidemill import Tidemill

_START_SECONDS: Final = 60.0


class Stage:
    """`places`: the name of each process → what stands behind `tidemill`; `worker…` and `scheduler…` are known."""

    def __init__(
        self, directory: Path, flavour: str, places: Mapping[str, tuple[str, ...]], *server_options: str
    ) -> None:
        self.directory = directory
        (directory / "effects").mkdir()
        self.server = Server(flavour, *server_options)
        self.recorder = Recorder(directory, "load")
        self.mill = Tidemill(self.server.url)
        self._follower = witness.Follower(self.server.directory / "s", self.recorder)
        self._fleet = Fleet(self.recorder, [self._process(place, command) for place, command in places.items()])
        self.wrong: list[str] = []

    def _process(self, place: str, command: tuple[str, ...]) -> Process:
        log = ("--log-format=json", "--log-level=info")
        return Process(command[0], place, ("tidemill", *command, *log), self.directory, self.server.url)

    def start(self, *later: str) -> None:
        """Returns when the workers are there. `later`: places that stay empty until `come`."""
        self._follower.start()
        for process in self._fleet.of("worker"):
            process.is_wanted = process.place not in later
        self._fleet.tend()
        workers = sum(process.is_wanted for process in self._fleet.of("worker"))
        eventually(lambda: len(self.mill.inspect.workers()) == workers, "the workers have come", _START_SECONDS)

    def come(self, place: str) -> None:
        """Starts a worker, and does not wait for it."""
        process = self._worker(place)
        process.is_wanted = True
        process.tend(self.recorder)

    def leave(self, place: str) -> None:
        """Stops a worker; when it is gone, its jobs are done or handed back."""
        process = self._worker(place)
        process.is_wanted = False
        process.send(signal.SIGTERM)
        if (code := process.wait()) != 0:
            self.wrong.append(f"{process.name} did not stop in order: exit code {code}")
        process.popen = None

    def _worker(self, place: str) -> Process:
        return next(process for process in self._fleet.of("worker") if process.place == place)

    def await_empty(self, queue: str) -> None:
        places = (witness.KEYS.wheel(queue), *witness.KEYS.lanes(queue))
        eventually(lambda: not self.server.client.zcard(places[0]), f"all of {queue} are promoted", _START_SECONDS)
        eventually(
            lambda: not any(map(self.server.client.xlen, places[1:])), f"all of {queue} have run", _START_SECONDS
        )

    def stop(self) -> None:
        """All processes. Workers hand back what they have not begun."""
        codes = {**self._fleet.leave("worker"), **self._fleet.leave("scheduler")}
        self.wrong += [f"{name} did not stop in order: exit code {code}" for name, code in codes.items() if code != 0]
        self._follower.close()

    def history(self, jobs: Iterable[str] | None = None) -> reading.History:
        """After `stop`. What is wrong with it is in `wrong`. `jobs`: of which records are looked at; None: of all."""
        witness.take_census(self.server, self.recorder, jobs)
        logs, oddities = read_logs(self.directory)
        effects = [path.name for path in (self.directory / "effects").iterdir()]
        history = reading.History(read(self.directory), effects, logs)
        self.wrong += [*map(str, check(history)), *(what for _, what in oddities)]
        if missed := witness.missed_events(self.server, self._follower):
            self.wrong.append(f"{missed} events were missed")
        return history

    def close(self) -> None:
        self._fleet.kill()
        self.mill.close()
        self.server.close()
        self.recorder.close()
