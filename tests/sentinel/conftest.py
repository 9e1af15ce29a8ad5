"""Fixtures of the tests with sentinels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sentinel.topology import CLUSTER_REASON, IS_CLUSTER, Topology


@pytest.fixture
def topology() -> Iterator[Topology]:
    """A primary, replicas and sentinels that the test may harm."""
    if IS_CLUSTER:
        pytest.skip(CLUSTER_REASON)
    with Topology("--appendfsync", "always") as found:
        yield found
