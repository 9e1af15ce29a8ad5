"""Fixtures of the templates' tests in a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers import Server


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may kill. It writes before it answers: `everysec` puts that off while the disk is slow."""
    found = Server(None, "--appendfsync", "always")
    yield found
    found.close()
