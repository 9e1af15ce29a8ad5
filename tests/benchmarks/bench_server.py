"""The server of a run: a fresh one each time, over TCP, with an append-only file as in production."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from ports import unused_port
from servers import Server

# Far beyond what a run holds: a refused job would be a run that does not count.
MAX_MEMORY = "12gb"


class BenchServer(Server):
    """`url` is over TCP; `client` speaks through the unix socket."""

    def __init__(self, flavour: str, *arguments: str) -> None:
        port = unused_port()
        super().__init__(flavour, "--port", str(port), "--maxmemory", MAX_MEMORY, *arguments)
        self.url = f"redis://127.0.0.1:{port}/0"

    def used_memory(self) -> int:
        """Bytes of data, without what connections and the append-only file hold for a moment."""
        info = cast("dict[str, Any]", self.client.info("memory"))
        return int(info["used_memory_dataset"]) + int(info["used_memory_overhead"]) - _passing(info)

    def commands(self) -> dict[str, int]:
        """How often each command was called since the server's start."""
        stats = cast("dict[str, Any]", self.client.info("commandstats"))
        return {name.removeprefix("cmdstat_"): int(row["calls"]) for name, row in stats.items()}


def _passing(info: dict[str, Any]) -> int:
    names = ("mem_clients_normal", "mem_aof_buffer", "mem_clients_slaves", "used_memory_startup")
    return sum(int(info.get(name, 0)) for name in names)


@contextmanager
def fresh_server(flavour: str, *arguments: str) -> Generator[BenchServer]:
    server = BenchServer(flavour, *arguments)
    try:
        yield server
    finally:
        server.close()
