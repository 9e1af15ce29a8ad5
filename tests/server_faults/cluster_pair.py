"""Two cluster nodes that know each other: what a client is told about slots that are elsewhere, or on their way."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from conditions import eventually
from servers import Server


class Pair:
    """`here` has all slots; `there` is empty."""

    def __init__(self, here: Server, there: Server) -> None:
        self.here, self.there = here, there
        self._there_id = there.client.execute_command("CLUSTER", "MYID")

    def slot_of(self, key: str) -> int:
        return int(self.here.client.execute_command("CLUSTER", "KEYSLOT", key))

    def set_slot(self, key: str, how: str) -> None:
        """`how`: MIGRATING (on its way to `there`) or NODE (it has arrived)."""
        self.here.client.execute_command("CLUSTER", "SETSLOT", self.slot_of(key), how, self._there_id)


@contextmanager
def running_pair() -> Generator[Pair]:
    """Ends both nodes."""
    here = Server("cluster", "--appendfsync", "always")
    there = Server("cluster", "--appendfsync", "always")
    try:
        there.client.execute_command("CLUSTER", "FLUSHSLOTS")
        port = there.url.rpartition(":")[2].partition("/")[0]
        here.client.execute_command("CLUSTER", "MEET", "127.0.0.1", port)
        known = there.client.execute_command("CLUSTER", "MYID")
        eventually(lambda: _knows(here, known), "they know each other", 40)
        yield Pair(here, there)
    finally:
        here.close()
        there.close()


def _knows(server: Server, node: bytes) -> bool:
    nodes: bytes = server.client.execute_command("CLUSTER", "NODES")
    return any(line.startswith(node) and b"handshake" not in line for line in nodes.splitlines())
