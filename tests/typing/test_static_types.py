"""mypy and pyright check what is enqueued against the function: right uses pass, each wrong one is reported."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Checker = Callable[[Path], tuple[set[int], str]]

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.fixture
def wrong_uses(tmp_path: Path) -> Path:
    """The wrong uses as a module: kept as text, so that `make check` does not stumble over them."""
    found = tmp_path / "wrong_uses.py"
    found.write_text((HERE / "wrong_uses.txt").read_text())
    return found


def marked(path: Path) -> set[int]:
    lines = path.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# WRONG")}


def mypy(path: Path) -> tuple[set[int], str]:
    """The lines with errors, and the output."""
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    cache = ["--cache-dir", str(path.parent / ".mypy_cache") if path.parent != HERE else str(ROOT / ".mypy_cache")]
    run = subprocess.run([*command, *cache, str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return {int(line) for line in re.findall(rf"{path.name}:(\d+): error", run.stdout)}, run.stdout


def pyright(path: Path) -> tuple[set[int], str]:
    """The lines with errors, and the output."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", str(path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    found = json.loads(run.stdout[run.stdout.index("{") :])["generalDiagnostics"]
    return {item["range"]["start"]["line"] + 1 for item in found if item["severity"] == "error"}, run.stdout


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_right_uses_have_the_right_types(checker: Checker) -> None:
    lines, output = checker(HERE / "right_uses.py")
    assert lines == set(), output


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_every_wrong_use_is_reported_and_nothing_else(checker: Checker, wrong_uses: Path) -> None:
    lines, output = checker(wrong_uses)
    assert lines == marked(wrong_uses), output
