"""Quantiles of response times, by a t-digest (Dunning and Ertl, "Computing extremely accurate quantiles using
t-digests", 2019). The library is fastdigest: maintained, typed, without dependencies, with wheels for every Python that
Tidemill runs on.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from tidemill.errors import InvalidInput


def require() -> None:
    """Raises InvalidInput that says what to install, if the library is not there."""
    if find_spec("fastdigest") is None:
        raise InvalidInput("the concurrency limiter 'windowed' needs fastdigest: pip install 'tidemill[adaptive]'")


def quantile(values: Sequence[float], fraction: float) -> float:
    """The value that this fraction of the values does not exceed. There must be some."""
    from fastdigest import TDigest

    return TDigest.from_values(values).quantile(fraction)
