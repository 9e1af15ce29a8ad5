"""The tables of tests/wire/test_script_*.py, one module for each group of scripts."""

from __future__ import annotations

from script_cases import enqueue, promote, recurring, settlement, steering, take, worker
from script_state import Case

ALL: list[Case] = [
    case for module in (enqueue, promote, take, settlement, worker, steering, recurring) for case in module.CASES
]
