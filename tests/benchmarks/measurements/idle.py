"""What an idle worker and an idle scheduler ask of the server: commands that they send in a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import repeat
from threading import Event

from benchmarks.bench import Bench, measurement
from benchmarks.bench_server import BenchServer, fresh_server
from benchmarks.figure import Figure, at_most
from benchmarks.processes import new_run, tidemill
from benchmarks.systems import application
from commands_seen import commands_during
from conditions import eventually

# What a process does once, at its start, is over by then.
SETTLING_SECONDS = 4.0
QUICK_SETTLING_SECONDS = 1.0


def has_called(server: BenchServer) -> bool:
    """Whether a script has run, as the first that a worker or scheduler calls."""
    return server.commands().get("evalsha", 0) > 0


def sent(server: BenchServer, seconds: float) -> Counter[str]:
    """The commands that clients send meanwhile; what their scripts call is not among them."""
    return Counter(line.split('"')[1].lower() for line in commands_during(server, seconds))


@measurement("idle")
def idle(bench: Bench) -> Iterator[Figure]:
    seconds = bench.size(30.0, 2.0)
    with ExitStack() as stack:
        servers: dict[str, BenchServer] = {}
        for role, command in (("worker", application.worker()), ("scheduler", tidemill("scheduler"))):
            servers[role] = stack.enter_context(fresh_server(bench.flavour))
            run = stack.enter_context(new_run(servers[role].url))
            stack.enter_context(run.process(command))
        for role, server in servers.items():
            eventually(partial(has_called, server), f"the {role} is up")
        Event().wait(bench.size(SETTLING_SECONDS, QUICK_SETTLING_SECONDS))
        for role, found in watched(servers, seconds).items():
            per_minute = found.total() * 60 / seconds
            note = ", ".join(f"{count} {name}" for name, count in sorted(found.items())) + f" in {seconds:g} s"
            yield Figure(
                f"idle {role}, commands a minute", "commands", per_minute, (at_most(per_minute, 10),), note=note
            )


def watched(servers: dict[str, BenchServer], seconds: float) -> dict[str, Counter[str]]:
    """Both at the same time: they have a server each."""
    with ThreadPoolExecutor() as threads:
        return dict(zip(servers, threads.map(sent, servers.values(), repeat(seconds)), strict=True))
