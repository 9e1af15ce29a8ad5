"""docs/retries.md: its programs print what it says, and its tables are complete."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from tidemill import Retry
from tidemill.telemetry import Event

PAGE = (Path(__file__).parents[2] / "docs" / "retries.md").read_text(encoding="utf-8")


def test_the_programs_print_what_the_page_says(tmp_path: Path, url: str) -> None:
    for name, program in re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(program)
    command, told = re.findall(r"```console\n\$ (.*?)\n(.*?)```", PAGE, re.DOTALL)[0]
    environment = {**os.environ, "TIDEMILL_URL": url}
    worker = subprocess.Popen(
        [sys.executable, "-m", "tidemill", "worker", "prices:mill", "--with-scheduler"], cwd=tmp_path, env=environment
    )
    try:
        done = subprocess.run(
            [sys.executable, *command.split()[1:]],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout, done.stderr) == (told, "")
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0


def test_every_argument_of_a_policy_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]+) \|", PAGE, re.MULTILINE))))
    assert {field.name for field in fields(Retry)} <= explained


def test_every_decision_has_its_row() -> None:
    logged = set(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", PAGE, re.MULTILINE))
    with_reasons = {what for what in Event if {"reason", "attempt"} <= what.fields}
    assert {what.event_name for what in with_reasons} - logged == {
        Event.JOB_RELEASED.event_name,
        Event.JOB_REFUSED.event_name,
    }
    assert logged <= {what.event_name for what in with_reasons}
