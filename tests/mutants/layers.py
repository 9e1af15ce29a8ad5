"""The layers of tests that planted bugs are shown to, and when a layer has caught one.

Only a failed assertion or a broken invariant counts: a source that does not even run would be caught by everything.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_PACKAGES: Final = ("producers", "consumers", "scheduler")
# The most that a layer takes on a busy machine, many times over.
_SECONDS: Final = 600
# What a source that does not run is noticed by.
_CRASH: Final = re.compile(
    r"\b(Import|ModuleNotFound|Name|Attribute|Syntax|Indentation|Type|UnboundLocal)Error\b"
    r"|Error compiling script|attempt to (call|index|concatenate|compare|perform)|nonexistent global variable"
)
_SIMULATION: Final = ("-m", "simulation", "--processes", "1", "--most-violations", "1", "--seeds")
_PYTEST: Final = ("-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider")


@dataclass(frozen=True, slots=True)
class Layer:
    """A command behind the interpreter, which ends with 1 when it has found something. `found`: what it says then."""

    arguments: tuple[str, ...]
    found: re.Pattern[str]
    environment: tuple[tuple[str, str], ...] = ()


def _simulation(seeds: int) -> Layer:
    return Layer((*_SIMULATION, str(seeds)), re.compile(r"^seed \d+: (.*)", re.MULTILINE))


def _pytest(*arguments: str, **environment: str) -> Layer:
    # The first line of the reason; in a history of hypothesis it stands behind a bar.
    found = re.compile(
        r"^(?:  [|] )?E  +((?:AssertionError|assert|Failed|TimeoutError|\S+\.JobNotDone).*)", re.MULTILINE
    )
    return Layer((*_PYTEST, *arguments), found, tuple(environment.items()))


LAYERS: Final = {
    "simulation": _simulation(400),
    # For the test suite, which plants what is found at once.
    "short simulation": _simulation(20),
    "properties": _pytest("tests/properties", TIDEMILL_SHRINK="0", TIDEMILL_EXAMPLES="100"),
    "tables": _pytest("tests/wire/test_script_tables.py"),
    "worker": _pytest("tests/worker/test_dying_while_settling.py"),
    "delivery": _pytest("tests/worker/test_lost_workers.py", "-k", "group or delivered_again"),
    "signing": _pytest("tests/security/test_signing.py"),
    "scripts": _pytest("tests/wire/test_script_behaviour.py"),
    "template contents": _pytest("tests/templates/test_templates_by_hand.py", "-k", "content"),
    "template news": _pytest("tests/templates_worker/test_template_news.py"),
    "breakers": _pytest("tests/breakers/test_breaker_model.py"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a layer says of a source. `is_caught`: it has found something, and not only that the source does not run."""

    is_clean: bool
    is_caught: bool
    what: str


def copy_source(target: Path) -> None:
    """What the layers need, without what is made."""
    for name in (*_PACKAGES, "tests"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(ROOT / "pyproject.toml", target)


def environment_of(root: Path) -> dict[str, str]:
    """Processes import from the copy, and are not measured: their files are gone when a report is made."""
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTEST_", "TIDEMILL_"))
    }
    path = os.pathsep.join(str(root / name) for name in (*_PACKAGES, "tests"))
    return {**outside, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def check_imports(root: Path) -> None:
    """Raises RuntimeError if processes would import anything else than the copy."""
    imports = "import tidemill as t, tidemill_consumers as c, tidemill_scheduler as s"
    lines = f"{imports}; print(t.__file__, c.__file__, s.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", lines], env=environment_of(root), cwd=root, capture_output=True, text=True, check=True
    )
    if not all(Path(path).is_relative_to(root) for path in found.stdout.split()):
        raise RuntimeError(f"the copy in {root} is not what is imported: {found.stdout}")


def run(layer: Layer, root: Path) -> Verdict:
    """Runs a layer on the copy at `root`."""
    environment = {**environment_of(root), **dict(layer.environment)}
    found = subprocess.run(
        [sys.executable, *layer.arguments],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    return judge(layer, found.returncode, found.stdout + found.stderr)


def judge(layer: Layer, code: int, output: str) -> Verdict:
    """`code`: pytest's is 1 for failed tests alone; a module that can't be imported is another one."""
    if code == 0:
        return Verdict(is_clean=True, is_caught=False, what="nothing was found")
    reason, crash = layer.found.search(output), _CRASH.search(output)
    if code != 1 or reason is None or crash is not None:
        tail = crash.group() if crash else output.strip()[-300:]
        return Verdict(is_clean=False, is_caught=False, what=f"it does not run (exit code {code}): {tail}")
    return Verdict(is_clean=False, is_caught=True, what=reason.group(1))
