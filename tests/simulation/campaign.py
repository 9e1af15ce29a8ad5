"""Runs many seeds, on several processes with a server each, and says what they have reached and what was wrong."""

from __future__ import annotations

import logging
import multiprocessing
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from servers import Server
from simulation.driver import Driver
from simulation.ledger import Violation
from simulation.scheduler import small_pages
from simulation.world import Connection


@dataclass
class Outcome:
    """What came of some seeds. `violations`: by seed, the invariant that was broken, and the history that led to it."""

    seeds: int = 0
    steps: int = 0
    sometimes: Counter[str] = field(default_factory=Counter[str])
    digests: dict[int, str] = field(default_factory=dict[int, str])
    violations: dict[int, tuple[str, list[str]]] = field(default_factory=dict[int, tuple[str, list[str]]])

    def add(self, other: Outcome) -> None:
        self.seeds += other.seeds
        self.steps += other.steps
        self.sometimes += other.sometimes
        self.digests |= other.digests
        self.violations |= other.violations


def run_seeds(url: str, seeds: Sequence[int], most_violations: int = 5) -> Outcome:
    """One after the other on one server, whose data are deleted. Ends early after some violations."""
    found = Outcome()
    connection = Connection(url)
    try:
        with small_pages():
            for seed in seeds:
                _run_seed(connection, seed, found)
                if len(found.violations) >= most_violations:
                    break
    finally:
        connection.close()
    return found


def _run_seed(connection: Connection, seed: int, found: Outcome) -> None:
    driver = Driver(connection, seed)
    ledger = driver.world.ledger
    try:
        driver.run()
    except Violation as violation:
        found.violations[seed] = str(violation), ledger.history
    except Exception as error:  # noqa: BLE001 - whatever a part of the product raises, the seed and its history are told
        found.violations[seed] = f"{type(error).__name__}: {error}", ledger.history
    found.seeds += 1
    found.steps += len(ledger.history)
    found.sometimes += ledger.sometimes
    found.digests[seed] = ledger.digest()


def run_portion(seeds: Sequence[int], most_violations: int) -> Outcome:
    """In a process of its own, on a server of its own."""
    logging.disable(logging.CRITICAL)  # faults are what this is about
    server = Server()
    try:
        return run_seeds(server.url, seeds, most_violations)
    finally:
        server.close()


def run(seeds: Sequence[int], processes: int, most_violations: int) -> Outcome:
    """Spread over processes."""
    if processes == 1:
        return run_portion(seeds, most_violations)
    found = Outcome()
    portions = [seeds[first::processes] for first in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for portion in pool.imap_unordered(partial(run_portion, most_violations=most_violations), portions):
            found.add(portion)
    return found
