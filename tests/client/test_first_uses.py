"""What a client imports and makes at its first use."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

import pytest

from tidemill import Tidemill
from tidemill.client import Client

PARTS = sorted(name for name, value in vars(Client).items() if isinstance(value, cached_property))


def test_the_parts_that_are_made_at_their_first_use_are_these() -> None:
    assert PARTS == ["_waiter", "async_link", "breakers", "catalog", "link"]


@pytest.mark.parametrize("part", PARTS)
def test_threads_whose_first_use_is_at_the_same_time_share_one(part: str) -> None:
    client = Tidemill("redis://nowhere.invalid").client
    make = cast("cached_property[Any]", vars(Client)[part]).func
    assert make(client) is make(client)  # as two threads, neither of which has seen the other's
    client.close()


@pytest.mark.parametrize("part", PARTS)
def test_closing_makes_nothing(part: str) -> None:
    client = Tidemill("redis://nowhere.invalid").client
    client.close()
    assert part not in vars(client)
