"""docs/cache.md: its program prints what it says, its table of calls is complete, and its figures can be had again."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from cache.traces import TRACES
from cache_comparison.comparison import compare, generated, sizes_below, table
from cache_comparison.policies import POLICIES
from tidemill_consumers.cache import Cache, Reason, Stats

PAGE = (Path(__file__).parents[2] / "docs" / "cache.md").read_text(encoding="utf-8")


def _part(name: str) -> list[list[str]]:
    """Rows of its table."""
    text = PAGE.split(f"<!-- {name}: begin (written by make cache) -->")[1].split(f"<!-- {name}: end -->")[0]
    return [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if line.startswith("|")]


def test_the_program_prints_what_the_page_says(tmp_path: Path) -> None:
    ((name, program),) = re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    ((command, told),) = re.findall(r"```console\n\$ (.*?)\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / name).write_text(program)
    done = subprocess.run(
        [sys.executable, *command.split()[1:]], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == (told, "")


def test_every_call_figure_and_reason_is_explained() -> None:
    prose = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    explained = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", prose))))
    public = {name for name in vars(Cache) if not name.startswith("_")}
    assert public | {field.name for field in fields(Stats)} | set(get_args(Reason)) <= explained


@pytest.mark.parametrize("trace", ["looping", "there_and_back"])
def test_its_figures_can_be_had_again(trace: str) -> None:
    keys = generated(trace)
    header, _, *rows, _ = table(list(compare(trace, keys, sizes_below(keys), POLICIES)))
    assert [re.split(r" *\| *", header.strip("| "))[0]] == ["trace"]
    place = _part("generated")[0].index("Tidemill")
    found = [re.split(r" *\| *", row.strip("| "))[place].strip("*") for row in rows]
    assert found == [cells[place].strip("*") for cells in _part("generated") if cells[0] == trace]


def test_every_trace_has_its_rows() -> None:
    assert {cells[0] for cells in _part("generated")} >= set(TRACES)
    assert len(_part("recorded")) == 2 + 3 * 14 + 1
