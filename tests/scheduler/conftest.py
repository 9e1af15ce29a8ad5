"""Fixtures of the scheduler's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers import Server


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may harm."""
    found = Server()
    yield found
    found.close()
