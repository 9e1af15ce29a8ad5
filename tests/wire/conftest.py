"""The world that scripts are called in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from script_state import World
from servers import Server


@pytest.fixture
def world(server: Server, url: str) -> Iterator[World]:
    """An empty server with a link, whose whole state can be written and read."""
    assert server.url == url
    found = World(server)
    yield found
    found.close()
