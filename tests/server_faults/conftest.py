"""Fixtures of the tests in which something is wrong with the server, or with the way to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers import Server


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may harm. It writes before it answers: `everysec` puts that off while the disk is slow."""
    found = Server(None, "--appendfsync", "always")
    yield found
    found.close()


@pytest.fixture
def standalone(own_server: Server) -> Server:
    """A server that a test may harm by what no cluster node is asked."""
    if own_server.flavour == "cluster":
        pytest.skip("cluster nodes are no replicas by REPLICAOF, but by CLUSTER REPLICATE")
    return own_server
