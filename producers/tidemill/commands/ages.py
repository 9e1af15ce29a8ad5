"""Ages on the command line: 90s, 15m, 12h, 30d."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

import click

_AGE: Final = re.compile(r"(\d{1,8})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def age_in(text: str) -> timedelta | None:
    """The age that a text says; None: it says none."""
    found = _AGE.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


def age(_: click.Context, __: click.Parameter, value: str) -> timedelta:
    """The callback of an option."""
    found = age_in(value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no length of time, as 90s, 15m, 12h or 30d")
    return found


def age_or_none(context: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    """The callback of an option that may be left out."""
    return None if value is None else age(context, parameter, value)
