"""The tables of the scripts, one module for each group of them: what stands here is a table, and is tested.

tests/wire/test_script_tables.py has what is tested of every case.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from script_state import Case


def _cases(module: str) -> list[Case]:
    return cast("list[Case]", import_module(f"{__name__}.{module}").CASES)


ALL: list[Case] = [case for module in iter_modules(__path__) for case in _cases(module.name)]
