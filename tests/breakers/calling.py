"""Calls through a breaker that fail, or are refused."""

from __future__ import annotations

import pytest

from tidemill import Breaker, BreakerOpen
from tidemill.breakers import BreakerOptions

OPTIONS: BreakerOptions = {"fail_max": 2, "reset_timeout": 0.4, "half_open_max": 1}
# For tests that want it open: longer than a busy machine takes.
LASTING: BreakerOptions = {"fail_max": 2, "reset_timeout": 60}


class Down(Exception):
    """A call has failed."""


def fail(breaker: Breaker, times: int = 2) -> None:
    for _ in range(times):
        with pytest.raises(Down), breaker:
            raise Down


def is_refused(breaker: Breaker) -> bool:
    try:
        with breaker:
            return False
    except BreakerOpen:
        return True
