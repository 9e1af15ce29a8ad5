"""A primary, two replicas and three sentinels on loopback: real processes, of the flavour that the tests run on."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from conditions import eventually
from ports import unused_port
from servers import Server, binary

NAME: Final = "tide"
IS_CLUSTER: Final = os.environ.get("TIDEMILL_TEST_SERVER") == "cluster"
CLUSTER_REASON: Final = "Sentinel watches servers without cluster mode: a cluster makes its failovers by itself"

# To how many kinds of them a process listens.
ANNOUNCEMENTS: Final = 3
# A server that is silent for this long is taken for dead.
DOWN_AFTER_MS: Final = 1_000
# How soon a failover that did not succeed may be tried again.
FAILOVER_TIMEOUT_MS: Final = 6_000
_REPLICAS: Final = 2
_SENTINELS: Final = 3
_QUORUM: Final = 2


class Sentinel:
    """One sentinel process; with a password it answers nobody else."""

    def __init__(self, primary_port: int, password: str = "") -> None:
        self.port = unused_port()
        self._password = password
        self.directory = Path(tempfile.mkdtemp(prefix="tm-"))
        self._file = self.directory / "sentinel.conf"
        self._file.write_text(
            "\n".join(
                [
                    f"port {self.port}",
                    "bind 127.0.0.1",
                    f"dir {self.directory}",
                    f"logfile {self.directory / 'log'}",
                    f"sentinel monitor {NAME} 127.0.0.1 {primary_port} {_QUORUM}",
                    f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}",
                    f"sentinel failover-timeout {NAME} {FAILOVER_TIMEOUT_MS}",
                    f"requirepass {password}" if password else "",
                    "",
                ]
            )
        )
        self.start()

    def start(self) -> None:
        command = [binary(os.environ.get("TIDEMILL_TEST_SERVER", "valkey")), str(self._file), "--sentinel"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.client = cast(
            Any,
            redis.Redis(
                host="127.0.0.1",
                port=self.port,
                password=self._password or None,
                protocol=2,
                decode_responses=True,
                retry=Retry(NoBackoff(), 0),
            ),
        )

    def ask(self, *words: object) -> Any:
        return self.client.execute_command("SENTINEL", *words)

    def listeners(self) -> int:
        """Clients that listen to its announcements."""
        return str(self.client.execute_command("CLIENT", "LIST")).count(f" sub={ANNOUNCEMENTS} ")

    def described(self) -> dict[str, str]:
        """What it knows of the primary; {} while it does not answer."""
        try:
            found = cast(list[str], self.ask("MASTER", NAME))
        except redis.RedisError:
            return {}
        return dict(zip(found[::2], found[1::2], strict=True))

    def close(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


class Topology:
    """`url` finds the primary. `arguments` are those of all three servers."""

    def __init__(self, *arguments: str) -> None:
        self.servers: dict[int, Server] = {}
        self.sentinels: list[Sentinel] = []
        first = self._add(*arguments)
        try:
            for _ in range(_REPLICAS):
                self._add("--replicaof", "127.0.0.1", str(first), *arguments)
            eventually(lambda: self.online_replicas(first) == _REPLICAS, "both replicas are in sync", 60)
            self.sentinels = [Sentinel(first) for _ in range(_SENTINELS)]
            eventually(self._know_each_other, "the sentinels know each other and the replicas", 60)
        except BaseException:
            self.close()
            raise

    def _add(self, *arguments: str) -> int:
        port = unused_port()
        self.servers[port] = Server(None, "--port", str(port), "--repl-diskless-sync-delay", "0", *arguments)
        return port

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{NAME}"

    @property
    def primary_port(self) -> int:
        """As most sentinels name it."""
        named = [int(sentinel.ask("GET-MASTER-ADDR-BY-NAME", NAME)[1]) for sentinel in self.sentinels]
        return max(set(named), key=named.count)

    @property
    def primary(self) -> Server:
        return self.servers[self.primary_port]

    def replicas(self) -> list[Server]:
        """All servers but the primary."""
        return [server for port, server in self.servers.items() if port != self.primary_port]

    def await_replicas(self) -> None:
        """Returns when both have what was written so far."""
        connected = self.primary.client
        connected.set("probe", 1)  # WAIT answers for the writes of its own connection
        eventually(lambda: connected.wait(_REPLICAS, 1_000) == _REPLICAS, "the replicas have it", 60)
        connected.delete("probe")

    def cut_off_replicas(self) -> None:
        """The primary goes on without them, until `resume_replicas`."""
        self.pause_replicas()
        # Without this, what the primary sends would wait for them in the kernel.
        self.primary.client.execute_command("CLIENT", "KILL", "TYPE", "replica")

    def pause_replicas(self) -> None:
        for replica in self.replicas():
            replica.process.send_signal(signal.SIGSTOP)

    def resume_replicas(self) -> None:
        for replica in self.replicas():
            replica.process.send_signal(signal.SIGCONT)

    def online_replicas(self, port: int) -> int:
        return str(self.servers[port].client.execute_command("INFO", "replication")).count("online")

    def _know_each_other(self) -> bool:
        known = [sentinel.described() for sentinel in self.sentinels]
        return all(
            (one.get("num-slaves"), one.get("num-other-sentinels"), one.get("flags"))
            == (str(_REPLICAS), str(_SENTINELS - 1), "master")
            for one in known
        )

    def await_switch(self, former_port: int, seconds: float = 60) -> int:
        """The port of the new primary, as soon as all sentinels name it."""

        def named() -> set[int]:
            return {int(sentinel.ask("GET-MASTER-ADDR-BY-NAME", NAME)[1]) for sentinel in self.sentinels}

        eventually(lambda: former_port not in (found := named()) and len(found) == 1, "the sentinels agree", seconds)
        return named().pop()

    def close(self) -> None:
        for sentinel in self.sentinels:
            sentinel.close()
        for server in self.servers.values():
            server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
