"""Fixtures of the tests in which something is wrong with the server, or with the way to it."""

from __future__ import annotations

import pytest

from servers import Server


@pytest.fixture
def standalone(own_server: Server) -> Server:
    """A server that a test may harm by what no cluster node is asked."""
    if own_server.flavour == "cluster":
        pytest.skip("cluster nodes are no replicas by REPLICAOF, but by CLUSTER REPLICATE")
    return own_server
