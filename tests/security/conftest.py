"""Fixtures of the security tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from security.guarded import GuardedServer


@pytest.fixture(scope="session")
def guarded_server() -> Iterator[GuardedServer]:
    """One for a test process."""
    found = GuardedServer()
    yield found
    found.close()


@pytest.fixture
def guarded(guarded_server: GuardedServer) -> GuardedServer:
    """Empty, with nothing in its log of denials."""
    guarded_server.flush()
    guarded_server.denials()
    return guarded_server
