"""docs/dead-letters.md: its commands and its program run, and what it says of filters and defaults is so."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dead_letters.letters import make_letters
from tidemill import RemoteError, Tidemill
from tidemill.commands.root import tidemill
from tidemill.dead_letters import Filter
from worker.processes import TESTS

PAGE = (TESTS.parent / "docs" / "dead-letters.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ tidemill (dead .*)$", PAGE, re.MULTILINE)
APP = """\
from tidemill import Tidemill
mill = Tidemill()

@mill.task(name="a.task")
def task(path: str, size: int = 1) -> None: ...
"""


@pytest.fixture
def project(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEMILL_URL", url)
    monkeypatch.delitem(sys.modules, "app", raising=False)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_page_runs(mill: Tidemill, project: Path, command: str) -> None:
    (job_id,) = make_letters(mill, 1)
    arguments = [word.replace("$JOB", job_id) for word in shlex.split(command)]
    done = CliRunner().invoke(tidemill, arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip()


def test_the_page_has_every_command_and_every_part_of_a_filter() -> None:
    assert {command.split()[1] for command in COMMANDS} == {"counts", "list", "show", "retry", "purge", "history"}
    assert set(re.findall(r"--(\w+)", PAGE)) >= Filter.__annotations__.keys()


def test_the_program_of_the_page_runs(mill: Tidemill, project: Path) -> None:
    (job_id,) = make_letters(mill, 1, error=RemoteError("ValueError", "x"))
    program = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert program
    (project / "edit.py").write_text(program.group(1))
    subprocess.run([sys.executable, "edit.py"], cwd=project, env=os.environ, check=True, timeout=60)
    assert mill.dead_letters.arguments(job_id) == (["0"], {})
    assert mill.dead_letters.actions()[0].reason == "names are lower-case"
