"""docs/breakers.md: its programs print what it says, and its tables are complete."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tidemill.breakers import BreakerOptions
from tidemill.telemetry import Event

PAGE = (Path(__file__).parents[2] / "docs" / "breakers.md").read_text(encoding="utf-8")


def test_the_programs_print_what_the_page_says(tmp_path: Path, url: str) -> None:
    for name, program in re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(program)
    command, told = re.findall(r"```console\n\$ (.*?)\n(.*?)```", PAGE, re.DOTALL)[0]
    environment = {**os.environ, "TIDEMILL_URL": url}
    worker = subprocess.Popen(
        [sys.executable, "-m", "tidemill", "worker", "bank:mill", "--with-scheduler"], cwd=tmp_path, env=environment
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


def _first_column(heading: str) -> set[str]:
    """Of the table whose head begins so."""
    table = PAGE[PAGE.index(f"| {heading}") :].split("\n\n")[0]
    return {word for row in table.splitlines()[2:] for word in re.findall(r"`([\w.]+)`", row.split(" | ")[0])}


def test_the_page_names_every_option() -> None:
    assert _first_column("`mill.breaker(name, ...)`") == set(BreakerOptions.__annotations__)


def test_the_page_names_every_event() -> None:
    assert _first_column("event") == {one.event_name for one in Event if one.event_name.startswith("breaker.")}
