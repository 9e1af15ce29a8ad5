"""A page of docs/: its programs, the session that it shows, and the names in its tables."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_DOCS: Final = Path(__file__).parents[2] / "docs"
# How long a program of a page may take, and its worker to stop.
_PROGRAM_SECONDS: Final = 60
_STOP_SECONDS: Final = 30


class Page:
    """The page of this name; `text` is what stands in it."""

    def __init__(self, name: str) -> None:
        self.text: Final = (_DOCS / name).read_text(encoding="utf-8")

    def told(self) -> list[str]:
        """What the page's console sessions print, by the page."""
        return [told for _, told in self._sessions()]

    def printed(self, directory: Path, url: str, app: str, *, before: int = 0) -> list[str]:
        """What they do print, in their order, on the server of this URL.

        before: so many of them while no worker of `app` is up; it is for the others.
        """
        for name, program in re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)```", self.text, re.MULTILINE | re.DOTALL):
            (directory / name).write_text(program)
        environment = {**os.environ, "TIDEMILL_URL": url}
        commands = [command for command, _ in self._sessions()]
        printed = [_printed(command, directory, environment) for command in commands[:before]]
        with _worker(app, directory, environment):
            return printed + [_printed(command, directory, environment) for command in commands[before:]]

    def _sessions(self) -> list[tuple[str, str]]:
        return re.findall(r"```console\n\$ (.*?)\n(.*?)```", self.text, re.DOTALL)

    def first_column(self, heading: str) -> set[str]:
        """The names in the first column of the table whose head begins so."""
        table = self.text[self.text.index(f"| {heading}") :].split("\n\n")[0]
        return {word for row in table.splitlines()[2:] for word in re.findall(r"`([\w.]+)`", row.split(" | ")[0])}

    def explained(self) -> set[str]:
        """The names in the first columns of all tables."""
        return set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]+) \|", self.text, re.MULTILINE))))


def _words(command: str) -> list[str]:
    """`python x.py` and `tidemill ...`, of this interpreter's environment."""
    program, *words = command.split()
    return [sys.executable, *(["-m", "tidemill"] if program == "tidemill" else []), *words]


def _printed(command: str, directory: Path, environment: dict[str, str]) -> str:
    """Its output, and its errors behind that."""
    done = subprocess.run(
        _words(command),
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_PROGRAM_SECONDS,
        check=False,
    )
    return done.stdout + done.stderr


@contextmanager
def _worker(app: str, directory: Path, environment: dict[str, str]) -> Generator[None]:
    words = [sys.executable, "-m", "tidemill", "worker", app, "--with-scheduler"]
    worker = subprocess.Popen(words, cwd=directory, env=environment)
    try:
        yield
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(_STOP_SECONDS) == 0
