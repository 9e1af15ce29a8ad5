"""What a failover costs: for each durability level and fault, what was acknowledged and what of it is lost.

    python tests/sentinel/measure.py [--rounds N] [--json FILE]

Producers, threads and coroutines, enqueue without a pause worth mentioning while the fault happens. Afterwards each
acknowledged job is looked for on the new primary. The write gap is the longest time without an acknowledgement, of each
producer. TIDEMILL_TEST_SERVER chooses the server. One round takes about two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conditions import eventually
from sentinel.topology import DOWN_AFTER_MS, NAME, Topology
from servers import Server
from tidemill import EnqueueUnknown, Tidemill, TidemillError
from tidemill.durability import Durability

LEVELS: Final[tuple[Durability, ...]] = ("aof", "replicated")
QUEUE: Final = "measured"
# Shorter than a failover, so that calls end in its middle: the three answers are seen.
DEADLINE_SECONDS: Final = 2.0
SYNC_PRODUCERS: Final = 3
ASYNC_PRODUCERS: Final = 2
# For how long jobs are enqueued before the fault and after the failover: nothing else ends these waits.
BEFORE_SECONDS: Final = 1.0
AFTER_SECONDS: Final = 2.0
# How long the primary goes on without its replicas, before it is killed.
CUT_SECONDS: Final = 1.0
# Bounds the load: about a thousand jobs a second from each producer.
PAUSE_SECONDS: Final = 0.001


@dataclass(slots=True)
class Tally:
    """What one producer was told."""

    acknowledged: list[str] = field(default_factory=list[str])
    acknowledged_at: list[float] = field(default_factory=list[float])
    unknown: list[str] = field(default_factory=list[str])
    refused: int = 0

    def add(self, job_id: str) -> None:
        self.acknowledged.append(job_id)
        self.acknowledged_at.append(time.monotonic())

    def failed(self, error: TidemillError) -> None:
        if isinstance(error, EnqueueUnknown):
            self.unknown.append(error.job.id)
        else:
            self.refused += 1

    @property
    def gap_seconds(self) -> float:
        times = self.acknowledged_at
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One level and fault, over all rounds."""

    level: str
    fault: str
    acknowledged: int
    unknown: int
    unknown_found: int
    refused: int
    lost: int
    gap_p50_seconds: float
    gap_max_seconds: float


class Load:
    """The producers, until `stop`."""

    def __init__(self, url: str) -> None:
        self.tallies = [Tally() for _ in range(SYNC_PRODUCERS + ASYNC_PRODUCERS)]
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(SYNC_PRODUCERS + 1)
        self._running = [self._pool.submit(self._produce, url, tally) for tally in self.tallies[:SYNC_PRODUCERS]]
        self._running.append(self._pool.submit(lambda: asyncio.run(self._aproduce(url))))

    def _produce(self, url: str, tally: Tally) -> None:
        with Tidemill(url, deadline=DEADLINE_SECONDS) as mill:
            noop = mill.named("measure.noop").using(queue=QUEUE)
            while not self._stop.wait(PAUSE_SECONDS):
                try:
                    tally.add(noop.enqueue().id)
                except TidemillError as error:
                    tally.failed(error)

    async def _aproduce(self, url: str) -> None:
        async with Tidemill(url, deadline=DEADLINE_SECONDS) as mill:
            await asyncio.gather(*(self._one(mill, tally) for tally in self.tallies[SYNC_PRODUCERS:]))

    async def _one(self, mill: Tidemill, tally: Tally) -> None:
        noop = mill.named("measure.noop").using(queue=QUEUE)
        while not self._stop.is_set():
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                tally.add((await noop.aenqueue()).id)
            except TidemillError as error:
                tally.failed(error)

    def stop(self) -> None:
        self._stop.set()
        self._pool.shutdown()
        for running in self._running:
            running.result()  # raises what ended a producer


def killed(topology: Topology) -> None:
    """kill -9 of the primary."""
    former = topology.primary_port
    topology.servers[former].kill()
    topology.await_switch(former)


def frozen(topology: Topology) -> None:
    """SIGSTOP of the primary, and SIGCONT when another was chosen: it still takes itself for the primary then."""
    former = topology.primary_port
    topology.servers[former].process.send_signal(signal.SIGSTOP)
    topology.await_switch(former)
    topology.servers[former].process.send_signal(signal.SIGCONT)


def planned(topology: Topology) -> None:
    """SENTINEL FAILOVER of a healthy primary, which accepts writes for some eight seconds more."""
    former = topology.primary_port
    topology.sentinels[0].ask("FAILOVER", NAME)
    topology.await_switch(former)


def cut_off(topology: Topology) -> None:
    """The replicas are cut off from the primary, which goes on, and is killed with kill -9 later."""
    former = topology.primary_port
    topology.cut_off_replicas()
    time.sleep(CUT_SECONDS)
    topology.servers[former].kill()
    topology.resume_replicas()
    topology.await_switch(former)


FAULTS: Final[dict[str, Callable[[Topology], None]]] = {
    "primary killed": killed,
    "primary frozen, then continued": frozen,
    "SENTINEL FAILOVER, healthy": planned,
    "replicas cut off, primary killed": cut_off,
}


@contextmanager
def prepared(level: Durability) -> Generator[Topology]:
    """Servers whose queue has this durability."""
    with Topology() as topology:
        with Tidemill(topology.url) as mill:
            mill.inspect.durability(QUEUE, level)
        yield topology


def measure(level: Durability, fault: str, rounds: int) -> Row:
    tallies: list[Tally] = []
    lost = unknown_found = 0
    for _ in range(rounds):
        with prepared(level) as topology:
            load = Load(topology.url)
            time.sleep(BEFORE_SECONDS)
            FAULTS[fault](topology)
            time.sleep(AFTER_SECONDS)
            load.stop()
            primary = topology.primary
            eventually(primary.answers, "the new primary answers")
            tallies += load.tallies
            lost += sum(_missing(primary, tally.acknowledged) for tally in load.tallies)
            unknown_found += sum(len(tally.unknown) - _missing(primary, tally.unknown) for tally in load.tallies)
    gaps = [tally.gap_seconds for tally in tallies]
    return Row(
        level=level,
        fault=fault,
        acknowledged=sum(len(tally.acknowledged) for tally in tallies),
        unknown=sum(len(tally.unknown) for tally in tallies),
        unknown_found=unknown_found,
        refused=sum(tally.refused for tally in tallies),
        lost=lost,
        gap_p50_seconds=round(statistics.median(gaps), 2),
        gap_max_seconds=round(max(gaps), 2),
    )


def _missing(server: Server, job_ids: list[str]) -> int:
    pipeline = server.client.pipeline(transaction=False)
    for job_id in job_ids:
        pipeline.exists(f"tm:{{0}}:job:{job_id}")
    return pipeline.execute().count(0) if job_ids else 0


def _print_head(rounds: int) -> None:
    with Topology() as topology:
        info = topology.primary.client.info("server")
    name = info.get("server_name", "redis")
    version = info.get("valkey_version") or info["redis_version"]
    print(f"{name} {version}: 1 primary, 2 replicas, 3 sentinels, down-after {DOWN_AFTER_MS} ms; rounds: {rounds}")
    print("| durability | fault | acknowledged | lost | unknown (of these in) | refused | write gap p50 / max |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |", flush=True)


def _print_row(row: Row) -> None:
    print(
        f"| `{row.level}` | {row.fault} | {row.acknowledged:,} | {row.lost:,} | {row.unknown} ({row.unknown_found})"
        f" | {row.refused} | {row.gap_p50_seconds:.2f} s / {row.gap_max_seconds:.2f} s |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="What a failover costs, per durability level and fault.")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write the rows as JSON too")
    parser.add_argument("--level", choices=LEVELS, help="only this one")
    parser.add_argument("--fault", choices=list(FAULTS), help="only this one")
    chosen = parser.parse_args()
    logging.getLogger("tidemill").setLevel(logging.CRITICAL)
    _print_head(chosen.rounds)
    rows: list[Row] = []
    for level in [chosen.level] if chosen.level else LEVELS:
        for fault in [chosen.fault] if chosen.fault else FAULTS:
            rows.append(measure(level, fault, chosen.rounds))
            _print_row(rows[-1])
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
