"""docs/effects.md: its programs run, and keep what they say when workers are killed and paused."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from conditions import eventually
from fleet import running_scheduler
from servers import Server
from tidemill import Tidemill
from worker.processes import ALONE, TESTS, Command, lines, running

PAGE = (TESTS.parent / "docs" / "effects.md").read_text(encoding="utf-8")
PATIENCE_SECONDS = 40
OPTIONS = (ALONE, "--grace=1")
SHORT_LEASE = 1
LONG_LEASE = 30

# Runs a program of the page, whose tasks do something `before` or `after` their work.
DISTURBED = """
import dataclasses, functools, os, signal
from pathlib import Path
from tidemill import current_job
from worker.jobs_app import note, wait_for
import {program}
mill = {program}.mill

def kill():
    if current_job().fence.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)

def pause():
    note("journal", f"started {{current_job().fence.attempt}}")
    if current_job().fence.attempt == 1:
        wait_for("release")

def disturbed(function):
    @functools.wraps(function)
    def run(*args, **kwargs):
        {before}
        result = function(*args, **kwargs)
        note("journal", f"returned {{current_job().fence.attempt}} {{result}}")
        {after}
        return result
    return run

for name, definition in mill.tasks.items():
    mill.tasks[name] = dataclasses.replace(definition, function=disturbed(definition.function))
"""

BANK = """
import os, signal
from pathlib import Path
from tidemill import current_job

def find(key):
    return next((line for line in Path("charges").read_text().splitlines() if line == key), None)

def charge(cents, key):
    with open("charges", "a") as file:
        file.write(key + "\\n")
    if current_job().fence.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return key
"""


def _program(name: str) -> str:
    found = re.search(rf"^`{re.escape(name)}`:\n\n```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no {name}"
    return found.group(1)


@pytest.fixture
def project(tmp_path: Path, mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with the page's programs, and a scheduler on the server."""
    for name in ("shop", "ledger", "billing"):
        (tmp_path / f"{name}.py").write_text(_program(f"{name}.py"))
    (tmp_path / "bank.py").write_text(BANK)
    monkeypatch.chdir(tmp_path)
    with running_scheduler(mill):
        yield tmp_path


def _disturb(project: Path, program: str, *, before: str = "pass", after: str = "pass") -> None:
    (project / "disturbed.py").write_text(DISTURBED.format(program=program, before=before, after=after))


def _worker(
    project: Path, mill: Tidemill, number: int, app: str = "disturbed:mill", lease: int = SHORT_LEASE
) -> AbstractContextManager[Command]:
    """Short is the lease of one that is to lose it."""
    path, options = f"{TESTS}{os.pathsep}{project}", (*OPTIONS, f"--lease={lease}")
    return running(project / f"worker-{number}.log", mill.url, "worker", app, *options, PYTHONPATH=path)


def _create_tables(project: Path) -> None:
    subprocess.run([sys.executable, "-c", "import ledger; ledger.create_tables()"], cwd=project, check=True)


def _rows(project: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(project / "ledger.db")) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - a table's name of this file


def test_a_worker_killed_between_commit_and_completion_leaves_one_row(project: Path, mill: Tidemill) -> None:
    _create_tables(project)
    _disturb(project, "ledger", after="kill()")
    job = mill.enqueue("ledger.pay", 17, 4200)
    with _worker(project, mill, 1) as first, _worker(project, mill, 2) as second:
        assert job.result(PATIENCE_SECONDS) is False, "the second attempt paid again"
        assert -signal.SIGKILL in (first.process.poll(), second.process.poll())
    assert _rows(project, "payments") == [(17, 4200)]


def test_an_attempt_that_was_paused_does_not_overwrite_what_a_newer_one_wrote(project: Path, mill: Tidemill) -> None:
    _create_tables(project)
    _disturb(project, "ledger", before="pause()")
    job = mill.enqueue("ledger.export", "text")
    journal = project / "journal"
    with _worker(project, mill, 1) as first:
        eventually(lambda: lines(journal) == ["started 1"], "the first attempt runs", PATIENCE_SECONDS)
        first.send(signal.SIGSTOP)
        with _worker(project, mill, 2, lease=LONG_LEASE):
            assert job.result(PATIENCE_SECONDS) is True
        (project / "release").touch()
        first.send(signal.SIGCONT)
        eventually(lambda: "returned 1 False" in lines(journal), "the zombie wrote nothing", PATIENCE_SECONDS)
    assert _rows(project, "exports") == [(job.id, 2, "text")]


def test_the_sale_in_redis_is_made_once(project: Path, mill: Tidemill, server: Server) -> None:
    _disturb(project, "shop", after="kill()")
    job = mill.enqueue("shop.sell", 17, 3)
    try:
        with _worker(project, mill, 1), _worker(project, mill, 2):
            assert job.result(PATIENCE_SECONDS) is False
        assert (server.client.get("{0}:sold"), server.client.smembers("{0}:orders")) == (b"3", {b"17"})
    finally:
        server.client.delete("{0}:sold", "{0}:orders")


def test_a_charge_of_which_nobody_could_tell_is_looked_for_and_not_repeated(project: Path, mill: Tidemill) -> None:
    job = mill.enqueue("billing.charge", 17, 4200)
    with _worker(project, mill, 1, "billing:mill"), _worker(project, mill, 2, "billing:mill"):
        assert job.result(PATIENCE_SECONDS) == "charge 17"
        assert mill.enqueue("billing.charge", 17, 4200).result(PATIENCE_SECONDS) == "charge 17"
    assert lines(project / "charges") == ["charge 17"]
