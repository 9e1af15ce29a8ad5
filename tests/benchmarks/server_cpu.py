"""What a server has spent: the CPU time of its main thread, and what its commands took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from benchmarks.bench_server import BenchServer

US_PER_SECOND: Final = 1_000_000
# Of the commands inside of scripts, so many are named.
MOST_NAMES: Final = 5
# What holds the others, and what the measurement itself asks.
NOT_NAMED: Final = ("evalsha", "info", "config", "script", "client")


@dataclass(frozen=True, slots=True)
class Spent:
    """main_thread_us: CPU time (`INFO cpu`). commands_us: by command, wall time (`INFO commandstats`)."""

    main_thread_us: float
    commands_us: dict[str, float]

    @classmethod
    def by(cls, server: BenchServer) -> Spent:
        """Since the server's start."""
        client: Any = server.client
        cpu, stats = client.info("cpu"), client.info("commandstats")
        seconds = float(cpu["used_cpu_user_main_thread"]) + float(cpu["used_cpu_sys_main_thread"])
        rows = {name.removeprefix("cmdstat_"): float(row["usec"]) for name, row in stats.items()}
        return cls(seconds * US_PER_SECOND, rows)

    def for_each(self, jobs: int, before: Spent) -> Spent:
        """What each of so many jobs took since then."""
        commands = {name: (us - before.commands_us.get(name, 0)) / jobs for name, us in self.commands_us.items()}
        return Spent((self.main_thread_us - before.main_thread_us) / jobs, commands)

    def most(self) -> list[str]:
        """The scripts as a whole, then the commands in them that took most, each with its µs."""
        inside = [(us, name) for name, us in self.commands_us.items() if not name.startswith(NOT_NAMED)]
        named = [(self.commands_us.get("evalsha", 0), "scripts"), *sorted(inside, reverse=True)[:MOST_NAMES]]
        return [f"{name} {us:.1f}" for us, name in named]
