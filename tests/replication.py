"""A primary and replicas that copy from it: real processes on loopback, of the flavour that the tests run on."""

from __future__ import annotations

import os
import signal
from types import TracebackType
from typing import Self

from conditions import eventually
from ports import unused_port
from servers import Server

IS_CLUSTER = os.environ.get("TIDEMILL_TEST_SERVER") == "cluster"
CLUSTER_REASON = "a cluster node refuses REPLICAOF; the commands used here are those of the same binary without cluster"


class Replicated:
    """A primary with so many replicas, all in sync. `pause` and `resume` stop and continue a replica's process."""

    def __init__(self, replicas: int, *arguments: str) -> None:
        self.port = unused_port()
        self.primary = Server(None, "--port", str(self.port), "--repl-diskless-sync-delay", "0", *arguments)
        self.replicas: list[Server] = []
        for _ in range(replicas):
            self.add()

    @property
    def url(self) -> str:
        return self.primary.url

    def add(self) -> Server:
        """One more replica, in sync."""
        found = Server(None, "--replicaof", "127.0.0.1", str(self.port))
        self.replicas.append(found)
        eventually(self._are_online, "every replica is in sync with the primary", 60)
        return found

    def _are_online(self) -> bool:
        return str(self.primary.client.execute_command("INFO", "replication")).count("online") == len(self.replicas)

    def flush(self) -> None:
        """Empties all, and returns when every replica has acknowledged it: a new one takes up to a second for that."""
        self.primary.flush()
        count = len(self.replicas)
        eventually(lambda: self.primary.client.execute_command("WAIT", count, 500) == count, "all replicas follow", 60)

    def pause(self, number: int) -> None:
        self.replicas[number].process.send_signal(signal.SIGSTOP)

    def resume(self, number: int) -> None:
        self.replicas[number].process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        for server in (*self.replicas, self.primary):
            server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
