"""`tidemill server start|stop|status`."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from tidemill.commands.server import server as server_command
from tidemill.embedded import ensure_running


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(server_command, list(arguments))
    return result.exit_code, result.output


def test_start_prints_the_url_and_stop_ends_the_server(directory: Path) -> None:
    place = ("--dir", str(directory))
    code, output = run("start", *place)
    started = ensure_running(directory)
    assert (code, output) == (0, f"{started.url}\n")
    assert run("start", *place) == (0, f"{started.url}\n")
    assert run("stop", *place) == (0, "stopped\n")
    assert run("stop", *place) == (0, "not running\n")


def test_the_exit_code_of_status_says_whether_a_server_runs(directory: Path) -> None:
    place = ("--dir", str(directory))
    assert run("status", *place) == (3, "not running\n")
    server = ensure_running(directory)
    assert run("status", *place) == (
        0,
        f"running: version {server.version}, pid {server.pid}, {server.url}\n",
    )


def test_every_command_answers_in_json(directory: Path) -> None:
    place = ("--dir", str(directory), "--json")
    assert run("status", *place) == (3, '{"running": false}\n')
    _, output = run("start", *place)
    server = ensure_running(directory)
    assert json.loads(output) == {
        "running": True,
        "loading": False,
        "url": server.url,
        "pid": server.pid,
        "directory": str(directory),
        "version": server.version,
    }
    assert run("status", *place) == (0, output)
    assert run("stop", *place) == (0, '{"stopped": true}\n')
    assert run("stop", *place) == (0, '{"stopped": false}\n')


def test_a_failed_start_is_a_message_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, output = run("start", "--dir", str(tmp_path / "file" / "below"))
    assert code == 1
    assert "Not a directory" in output
    assert "Traceback" not in output
