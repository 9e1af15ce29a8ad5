"""The embedded server with real processes: one starts it, the others find it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from embedded.server_process import (
    is_alive,
    kill,
    read,
    start_together,
    write,
)
from tidemill import embedded
from tidemill.embedded import ensure_running, find, stop


def test_the_first_call_starts_a_server_and_the_second_finds_it(directory: Path) -> None:
    assert find(directory) is None
    started = ensure_running(directory)
    assert ensure_running(directory) == started
    assert find(directory) == started
    assert is_alive(started.pid)
    assert started.directory == directory
    assert started.version.count(".") == 2


def test_another_process_finds_the_same_server(directory: Path) -> None:
    assert start_together(directory, 1) == [ensure_running(directory).pid]


def test_twenty_starters_at_once_end_with_one_server(directory: Path) -> None:
    pids = start_together(directory, 20)
    assert pids == [ensure_running(directory).pid] * 20
    log = (directory / "valkey.log").read_text()
    assert log.count("Ready to accept connections") == 1


def test_twenty_starters_heal_a_crash_with_one_server(directory: Path) -> None:
    first = ensure_running(directory)
    write(first, "job", "kept")
    kill(first)
    pids = start_together(directory, 20)
    now = ensure_running(directory)
    assert pids == [now.pid] * 20
    assert read(now, "job") == "kept"


def test_the_default_directory_is_below_the_current_one(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEMILL_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert ensure_running().directory == directory


def test_the_environment_names_another_directory(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_DIR", str(directory))
    assert ensure_running() == ensure_running(directory)
    assert stop() is True


def test_a_symbolic_link_to_the_directory_leads_to_the_same_server(tmp_path: Path, directory: Path) -> None:
    started = ensure_running(directory)
    link = tmp_path / "link"
    link.symlink_to(directory)
    assert find(link) == started


def test_a_path_with_spaces_and_percent_signs_is_a_working_url(tmp_path: Path) -> None:
    odd = tmp_path / "a b%20#?"
    try:
        server = ensure_running(odd)
        write(server, "job", "here")
        assert read(server, "job") == "here"
    finally:
        stop(odd)


def test_a_deep_directory_is_reached_through_a_short_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90) / ("e" * 90)
    try:
        server = ensure_running(deep)
        write(server, "job", "here")
        assert read(server, "job") == "here"
        assert start_together(deep, 1) == [server.pid]
        link = Path(server.url.removeprefix("unix://")).parent
        link.unlink()  # as a sweeper of the temporary directory does
        assert find(deep) == server
    finally:
        assert stop(deep) is True
    assert not link.is_symlink()


def test_a_deep_directory_without_a_server_leaves_no_link_behind(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90) / ("e" * 90)
    links = embedded.LINKS_ROOT / f"tidemill-{os.geteuid()}"
    assert find(deep) is None
    targets = [os.readlink(link) for link in links.iterdir()] if links.exists() else []
    assert str(deep) not in targets
