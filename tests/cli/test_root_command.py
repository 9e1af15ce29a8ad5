"""The command line as a whole: help, the server's URL, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from tidemill import Tidemill, errors
from tidemill.commands import root
from tidemill.commands.doctor import FOUND_EXIT_CODE
from tidemill.commands.root import exit_code, tidemill

COMMANDS = (
    "acl",
    "breakers",
    "dead",
    "demo",
    "doctor",
    "dev",
    "jobs",
    "queues",
    "scheduler",
    "server",
    "stats",
    "templates",
    "worker",
)
NOBODY = "redis://user:secret@127.0.0.1:1/0"


def run_tidemill(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tidemill", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    """Every command that does something, by its words."""
    if not isinstance(command, click.Group):
        return {path: command}
    found: dict[tuple[str, ...], click.Command] = {}
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None:
            found |= leaves(child, (*path, name))
    return found


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(tidemill, ["--help"])
    assert shown.exit_code == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\w", shown.output, re.MULTILINE), f"{name} is not in the help"
    assert set(tidemill.list_commands(click.Context(tidemill))) == set(COMMANDS)


@pytest.mark.parametrize("group", ["jobs", "dead", "queues", "stats", "doctor", "templates"])
def test_what_talks_to_a_server_takes_its_url_and_json(group: str) -> None:
    command = tidemill.get_command(click.Context(tidemill), group)
    assert command is not None
    for words, leaf in leaves(command, (group,)).items():
        options = {option for parameter in leaf.params for option in parameter.opts}
        assert {"--url", "--json"} <= options, " ".join(words)
        assert leaf.help, " ".join(words)


def test_the_version_is_shown() -> None:
    shown = run_tidemill("--version")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert re.search(r"\d+\.\d+", shown.stdout)


def test_a_wrong_usage_exits_with_2() -> None:
    for arguments in (["nothing"], ["jobs", "list", "--state", "lost"], ["jobs", "show"], ["queues", "pause", "No"]):
        shown = CliRunner().invoke(tidemill, [*arguments, "--url", NOBODY])
        assert shown.exit_code == 2, shown.output
        assert "Error" in shown.output


def test_a_url_of_another_kind_exits_with_2() -> None:
    shown = run_tidemill("stats", "--url", "http://localhost")
    assert shown.returncode == 2
    assert shown.stderr == (
        "Error: server URL 'http://localhost': it must begin with redis://, rediss:// or unix://, "
        "or with redis+sentinel:// to find the primary by its sentinels\n"
    )


def test_an_unknown_job_exits_with_3(url: str) -> None:
    shown = run_tidemill("jobs", "show", "nobody", "--url", url)
    assert (shown.returncode, shown.stdout) == (3, "")
    assert shown.stderr == "Error: job nobody is not known: never enqueued, or dropped by retention\n"


def test_a_server_that_does_not_answer_exits_with_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "Tidemill", lambda url: Tidemill(url, deadline=0.1))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - monkeypatch has no types
    for arguments in (["stats"], ["jobs", "cancel", "a", "b"], ["queues", "list", "--json"]):
        shown = CliRunner().invoke(tidemill, [*arguments, "--url", NOBODY])
        assert shown.exit_code == 4, shown.output
        assert "no answer from redis://user:***@127.0.0.1:1/0 within 0.1 s" in shown.stderr
        assert "secret" not in shown.output
        assert "Traceback" not in shown.output


def test_the_url_of_the_environment_is_used(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_URL", url)
    shown = run_tidemill("queues", "list", "--json")
    assert (shown.returncode, json.loads(shown.stdout)) == (0, [])


def test_every_error_has_its_exit_code() -> None:
    remote = errors.RemoteError("ValueError", "no")
    codes = {
        errors.TidemillError("x"): 1,
        errors.QueueFull("x"): 1,
        errors.JobExists("x", job_id="a"): 1,
        errors.CorruptRecord("x"): 1,
        errors.ServerUnsuitable("x"): 1,
        errors.InvalidInput("x"): 2,
        errors.PayloadTooLarge("x"): 2,
        errors.JobNotFound("x"): 3,
        errors.ServerUnavailable("x"): 4,
        errors.JobFailed("a", remote): 5,
        errors.JobExpired("a", remote): 5,
        errors.JobCancelled("x"): 5,
    }
    assert {type(error).__name__: exit_code(error) for error in codes} == {
        type(error).__name__: code for error, code in codes.items()
    }
    documented = {int(code) for code in re.findall(r"^\| (\d) \|", root.__doc__ or "", re.MULTILINE)}
    assert documented == {0, *codes.values(), FOUND_EXIT_CODE}
