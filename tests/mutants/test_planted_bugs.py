"""The catalogue of planted bugs keeps up with the source, and what judges them can tell a bug that was found from one
that was not. `make mutants` plants them all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mutants.__main__ import are_clean, is_caught
from mutants.catalogue import MUTANTS, Mutant
from mutants.layers import LAYERS, ROOT, judge

QUICK = "short simulation"
SIMULATED = [mutant for mutant in MUTANTS if mutant.name == "M9"]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_bug_can_be_planted_in_the_source_as_it_is(mutant: Mutant) -> None:
    found = mutant.applied(ROOT)
    assert found != (ROOT / mutant.file).read_text(encoding="utf-8")
    assert mutant.layer in LAYERS
    if mutant.file.endswith(".py"):
        ast.parse(found)


def test_a_bug_that_no_longer_fits_the_source_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("twice, twice", encoding="utf-8")
    for old in ("never", "twice"):
        with pytest.raises(LookupError, match=old):
            Mutant("M0", "none", "file", old, "").plant(tmp_path)


@pytest.mark.parametrize("mutant", SIMULATED, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_caught_and_the_source_without_it_is_not(mutant: Mutant) -> None:
    assert are_clean([QUICK])
    assert is_caught(mutant, QUICK)


@pytest.mark.parametrize(
    ("layer", "code", "output"),
    [
        ("simulation", 1, "seed 3: ImportError: cannot import name 'holds'"),
        ("simulation", 1, "ModuleNotFoundError: No module named 'tidemill'"),
        (
            "simulation",
            1,
            "seed 0: s0 has failed: ServerError(\"Error compiling script (new function): '=' expected\")",
        ),
        ("simulation", 2, "seed 3: p1-1 is running, and has 0 tickets"),
        ("tables", 2, "E   ModuleNotFoundError: No module named 'tidemill'"),
        ("tables", 1, "E   NameError: name 'holds' is not defined"),
        ("tables", 1, "E   fixture 'world' not found"),
        ("tables", 0, ""),
    ],
)
def test_a_source_that_does_not_run_is_not_caught(layer: str, code: int, output: str) -> None:
    verdict = judge(LAYERS[layer], code, output)
    assert not verdict.is_caught
    assert verdict.is_clean == (code == 0)


def test_a_broken_invariant_and_a_failed_assertion_are_caught() -> None:
    assert judge(LAYERS["simulation"], 1, "2 violations\nseed 3: p1-1 has 0 tickets\n").what == "p1-1 has 0 tickets"
    assert judge(LAYERS["tables"], 1, "E       AssertionError: assert {} == {}\n").is_caught
