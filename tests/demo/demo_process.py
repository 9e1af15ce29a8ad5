"""Runs `tidemill demo` as a process, on a folder of real files and of some that do not parse."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidemill.demo import files

# For a whole demo: it takes seconds, or minutes on a machine with many more programs than processors.
PATIENCE_SECONDS = 240
# What no parser accepts, in the ways that the standard library's test data has.
BROKEN = {
    "broken/syntax.py": b"def f(:\n",
    "broken/python2.py": b"print 'hello'\n",
    "broken/coding.py": b"# coding: uft-8\n",
    "broken/latin1.py": b"name = '\xf6'\n",
    "broken/null.py": b"x = 1\0\n",
}


def sources(folder: Path, count: int) -> Path:
    """A folder with so many of the standard library's files, evenly spread, and the broken ones."""
    library = Path(sysconfig.get_path("stdlib"))
    for name in files.find(library, count):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library / name, folder / name)
    for name, content in BROKEN.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def refused(folder: Path) -> set[str]:
    """The files below a folder that `ast.parse` refuses: a pass of its own, without the demo's code."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            found.add(path.relative_to(folder).as_posix())
    return found


class Demo:
    """A running demo, in a directory of its own."""

    def __init__(self, place: Path, *arguments: str) -> None:
        self._messages = place / "messages"
        self._report = place / "report"
        with self._messages.open("wb") as messages, self._report.open("wb") as report:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tidemill", "demo", *arguments],
                cwd=place,
                stdin=subprocess.DEVNULL,
                stdout=report,
                stderr=messages,
            )

    @property
    def messages(self) -> str:
        return self._messages.read_text()

    @property
    def pids(self) -> list[int]:
        """Of the processes that it said it started."""
        return [int(pid) for pid in re.findall(r"\(pid (\d+)\)", self.messages)]

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def report(self) -> dict[str, Any]:
        """The report of a demo that was run with --json."""
        found: dict[str, Any] = json.loads(self._report.read_text())
        return found

    def text(self) -> str:
        return self._report.read_text()


@contextmanager
def demo(place: Path, *arguments: str) -> Generator[Demo]:
    """A demo that is stopped at the end, should it still run."""
    place.mkdir(exist_ok=True)
    running = Demo(place, *arguments)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
            running.process.wait(60)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
