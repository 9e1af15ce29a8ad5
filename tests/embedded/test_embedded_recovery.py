"""The embedded server's ends: stopped, killed, suspended, its files deleted or left behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.server_process import (
    PATIENCE_SECONDS,
    client,
    kill,
    read,
    suspended,
    write,
)
from tidemill import embedded, embedded_process
from tidemill.embedded import ensure_running, find, stop
from tidemill.embedded_process import server_lock
from tidemill.errors import ServerUnavailable

DEAD_PID = 2**22 + 1  # larger than any pid that Linux or macOS gives


def test_data_is_kept_between_runs(directory: Path) -> None:
    first = ensure_running(directory)
    write(first, "job", "kept")
    assert stop(directory) is True
    second = ensure_running(directory)
    assert second.pid != first.pid
    assert read(second, "job") == "kept"


def test_stop_returns_when_the_process_is_gone(directory: Path) -> None:
    ensure_running(directory)
    assert stop(directory) is True
    with server_lock(directory) as lock:
        assert lock is not None
    assert find(directory) is None


def test_stop_is_false_when_no_server_runs(directory: Path) -> None:
    assert stop(directory) is False
    assert not directory.exists()
    ensure_running(directory)
    assert stop(directory) is True
    assert stop(directory) is False


def test_a_killed_server_is_started_again_with_its_data(directory: Path) -> None:
    first = ensure_running(directory)
    write(first, "job", "kept")
    kill(first)
    assert find(directory) is None
    second = ensure_running(directory)
    assert second.pid != first.pid
    assert read(second, "job") == "kept"


@pytest.mark.parametrize("pid", [DEAD_PID, 1])
def test_files_that_a_crash_left_behind_mislead_nobody(directory: Path, pid: int) -> None:
    directory.mkdir()
    (directory / "valkey.lock").touch()
    (directory / "valkey.pid").write_text(f"{pid}\n")
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(directory / "valkey.sock"))
    assert find(directory) is None
    assert ensure_running(directory).pid != pid


def test_a_starter_that_died_with_the_lock_does_not_block_the_next(directory: Path) -> None:
    directory.mkdir()
    code = (
        "import os, sys, signal; from pathlib import Path\n"
        "from tidemill.embedded_process import server_lock\n"
        "with server_lock(Path(sys.argv[1])) as lock:\n"
        "    assert lock is not None; os.kill(os.getpid(), signal.SIGKILL)"
    )
    dead = subprocess.run([sys.executable, "-c", code, str(directory)], check=False)
    assert dead.returncode == -signal.SIGKILL
    assert ensure_running(directory).pid > 0


def test_a_process_forked_during_a_start_does_not_keep_the_lock(directory: Path) -> None:
    directory.mkdir()
    code = """
import os, sys
from pathlib import Path
from tidemill.embedded_process import server_lock
directory = Path(sys.argv[1])
readable, writable = os.pipe()
forked, tell_forked = os.pipe()
with server_lock(directory) as first:
    assert first is not None
    child = os.fork()
    if child == 0:
        os.close(writable)
        os.write(tell_forked, b"!")
        os.read(readable, 1)
        os._exit(0)
os.read(forked, 1)
with server_lock(directory) as second:
    print("free" if second is not None else "held")
os.close(writable)
os.waitpid(child, 0)
"""
    ended = subprocess.run([sys.executable, "-c", code, str(directory)], stdout=subprocess.PIPE, text=True, check=True)
    assert ended.stdout == "free\n"


def test_a_server_whose_socket_was_deleted_gets_no_second_one_beside_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ensure_running(directory)
    (directory / "valkey.sock").unlink()
    with monkeypatch.context() as hasty:
        hasty.setattr(embedded, "START_TIMEOUT_SECONDS", 0.3)
        with pytest.raises(ServerUnavailable, match=rf"pid {server.pid}.* was deleted"):
            ensure_running(directory)
    kill(server)
    assert ensure_running(directory).pid != server.pid


def test_a_suspended_server_is_a_clear_error_and_not_a_second_server(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ensure_running(directory)
    with suspended(server), monkeypatch.context() as hasty:
        hasty.setattr(embedded, "ANSWER_TIMEOUT_SECONDS", 0.3)
        for call in (ensure_running, find, stop):
            with pytest.raises(ServerUnavailable, match=rf"pid {server.pid}\) has not answered for 0.3 s"):
                call(directory)
    assert ensure_running(directory).pid == server.pid


def test_a_server_that_still_loads_is_alive_and_waited_for(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ensure_running(directory)
    with client(first) as connected:
        for number in range(8000):
            connected.set(f"job:{number}", "x")
    kill(first)
    monkeypatch.setenv("TIDEMILL_SERVER_BINARY", str(slowly_loading_binary(directory.parent)))
    monkeypatch.setattr(embedded, "LOADING_TIMEOUT_SECONDS", 0.05)
    with pytest.raises(ServerUnavailable, match=r"not ready after 0.05 s: it still reads its data"):
        ensure_running(directory)
    loading = find(directory)
    assert loading is not None
    assert loading.loading
    monkeypatch.setattr(embedded, "LOADING_TIMEOUT_SECONDS", 3 * PATIENCE_SECONDS)
    loaded = ensure_running(directory)
    assert (loaded.pid, loaded.loading) == (loading.pid, False)
    assert read(loaded, "job:7999") == "x"


def slowly_loading_binary(place: Path) -> Path:
    """The same server, slowed to some 450 us a command; it answers after every 1,024 of them."""
    slow = place / "slow-server"
    slow.write_text(f'#!/bin/sh\nexec "{embedded_process.server_binary()}" "$@" --key-load-delay 400\n')
    slow.chmod(0o755)
    return slow
