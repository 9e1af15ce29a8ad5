"""How the embedded server is set up, and how it is detached from its starter."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.server_process import (
    setting,
)
from tidemill import embedded_process
from tidemill.embedded import ensure_running, find, stop
from tidemill.errors import ServerUnavailable


def test_the_server_is_durable_private_and_never_evicts(directory: Path) -> None:
    server = ensure_running(directory)
    names = ("port", "appendonly", "appendfsync", "save", "maxmemory-policy", "maxmemory")
    assert {name: setting(server, name) for name in names} == {
        "port": "0",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "maxmemory": str(1024**3),
    }
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "valkey.sock").stat().st_mode) == 0o700


def test_the_environment_sets_the_memory_limit(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_MAXMEMORY", "64mb")
    assert setting(ensure_running(directory), "maxmemory") == str(64 * 1024**2)


def test_the_environment_chooses_how_often_the_disk_is_synced(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_APPENDFSYNC", "always")
    assert setting(ensure_running(directory), "appendfsync") == "always"


def test_a_sync_policy_that_does_not_exist_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_APPENDFSYNC", "sometimes")
    with pytest.raises(ServerUnavailable, match="one of always, everysec, no, not 'sometimes'"):
        ensure_running(directory)
    assert find(directory) is None


@pytest.mark.parametrize("limit", ["much", "1gb\nport 7000"])
def test_a_memory_limit_that_is_no_size_is_refused(
    directory: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setenv("TIDEMILL_MAXMEMORY", limit)
    with pytest.raises(ServerUnavailable, match=r"(?i)maxmemory"):
        ensure_running(directory)
    assert find(directory) is None


def test_the_server_is_in_a_session_of_its_own(directory: Path) -> None:
    assert os.getsid(ensure_running(directory).pid) != os.getsid(0)


def test_the_starter_is_left_without_a_child(directory: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from tidemill.embedded import ensure_running;"
        "ensure_running(Path(sys.argv[1])); os.waitpid(-1, os.WNOHANG)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(directory)], stderr=subprocess.PIPE, text=True, check=False)
    assert "ChildProcessError" in ended.stderr


def test_a_large_log_is_set_aside_at_the_next_start(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_process, "LOG_LIMIT_BYTES", 100)
    first = ensure_running(directory)
    stop(directory)
    second = ensure_running(directory)
    assert f"pid={first.pid}" in (directory / "valkey.log.1").read_text()
    assert f"pid={first.pid}" not in (directory / "valkey.log").read_text()
    assert f"pid={second.pid}" in (directory / "valkey.log").read_text()
