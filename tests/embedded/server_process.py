"""What the tests of the embedded server do to its process, and how they talk to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from redis import Redis

from conditions import eventually
from tidemill.embedded import EmbeddedServer
from tidemill.embedded_process import server_lock

PATIENCE_SECONDS = 20.0

# Waits for a line on stdin, so that all starters begin at once, and prints the pid that it found.
STARTER = """
import sys
from pathlib import Path
from tidemill.embedded import ensure_running
sys.stdin.readline()
print(ensure_running(Path(sys.argv[1])).pid)
"""


@contextmanager
def client(server: EmbeddedServer) -> Generator[Redis]:
    connected = Redis.from_url(server.url, decode_responses=True)  # pyright: ignore[reportUnknownMemberType] - its keywords are untyped
    try:
        yield connected
    finally:
        connected.close()


def ask(connected: Redis, *words: str) -> object:
    """Any command's reply."""
    execute = cast("Callable[..., object]", connected.execute_command)  # pyright: ignore[reportUnknownMemberType] - it is untyped
    return execute(*words)


def write(server: EmbeddedServer, key: str, value: str) -> None:
    with client(server) as connected:
        connected.set(key, value)


def read(server: EmbeddedServer, key: str) -> object:
    with client(server) as connected:
        return connected.get(key)


def setting(server: EmbeddedServer, name: str) -> str:
    with client(server) as connected:
        return cast("dict[str, str]", ask(connected, "CONFIG", "GET", name))[name]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def kill(server: EmbeddedServer) -> None:
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: lock_is_free(server.directory), "the killed server is gone", PATIENCE_SECONDS)


def lock_is_free(directory: Path) -> bool:
    with server_lock(directory) as lock:
        return lock is not None


@contextmanager
def suspended(server: EmbeddedServer) -> Generator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def start_together(directory: Path, count: int) -> list[int]:
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("go\n")
        starter.stdin.flush()
    return [int(starter.communicate(timeout=60)[0]) for starter in starters]
