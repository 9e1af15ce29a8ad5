"""The README's programs run, and print what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conditions import eventually
from servers import Server
from tidemill import Tidemill
from tidemill.commands.jobs import details_of

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def _program(name: str) -> str:
    found = re.search(rf"^`{re.escape(name)}`:\n\n```python\n(.*?)```", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no {name}"
    return found.group(1)


def _run(directory: Path, script: str, url: str) -> str:
    environment = {**os.environ, "TIDEMILL_URL": url}
    done = subprocess.run(
        [sys.executable, script],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("app.py", "use.py"):
        (tmp_path / name).write_text(_program(name))
    return tmp_path


def test_the_twenty_lines_print_what_the_readme_says(project: Path, server: Server, url: str) -> None:
    transcript = re.search(r"\$ python use\.py\n(.*?)```", README, re.DOTALL)
    assert transcript
    worker = subprocess.Popen(
        [sys.executable, "-m", "tidemill", "worker", "app:mill", "--with-scheduler"],
        cwd=project,
        env={**os.environ, "TIDEMILL_URL": url},
    )
    try:
        with Tidemill(url) as mill:  # the program waits for seconds, and a worker may start for longer
            eventually(mill.inspect.workers, "the worker is there", 60)
        assert _run(project, "use.py", url) == transcript.group(1)
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0


def test_every_line_of_the_enqueue_section_runs(project: Path, server: Server, url: str) -> None:
    block = re.search(r"## Enqueue\n\n```python\n(.*?)```", README, re.DOTALL)
    assert block
    (project / "enqueue.py").write_text(block.group(1))
    _run(project, "enqueue.py", url)
    records = [key for key in server.all_keys() if ":job:" in key]
    assert len(records) == 7


def test_the_readmes_template_sends_what_differs(project: Path, server: Server, url: str) -> None:
    block = re.search(r"\*\*Templates\.\*\*.*?```python\n(.*?)```", README, re.DOTALL)
    assert block
    (project / "templates.py").write_text(block.group(1))
    _run(project, "templates.py", url)
    with Tidemill(url) as mill:
        jobs = mill.inspect.jobs("previews")
        sent = [mill.client.codec.decode_call(job.record.body) for job in jobs]
        shown = {details_of(job.record)["template"] for job in jobs}
    assert sorted(sent, key=repr) == [
        ([], {"path": "a.jpg"}),
        ([], {"path": "b.jpg"}),
        ([], {"path": "cat.jpg"}),
        ([], {"path": "dog.jpg", "size": 32}),
    ]
    assert shown == {"preview, version 1"}
