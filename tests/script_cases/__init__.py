"""The tables of tests/wire/test_script_*.py, one module for each group of scripts."""

from __future__ import annotations

from script_cases import (
    breakers,
    dead_letters,
    doctoring,
    effects,
    enqueue,
    limits,
    promote,
    recurring,
    settlement,
    shed,
    steering,
    take,
    templates,
    tenants,
    worker,
)
from script_state import Case

_MODULES = (
    enqueue,
    promote,
    take,
    settlement,
    worker,
    steering,
    recurring,
    effects,
    doctoring,
    dead_letters,
    shed,
    limits,
    breakers,
    tenants,
    templates,
)

ALL: list[Case] = [case for module in _MODULES for case in module.CASES]
