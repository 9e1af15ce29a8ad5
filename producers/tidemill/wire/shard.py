"""What all commands of one shard share: its keys, and how long finished records are kept there."""

from __future__ import annotations

from typing import NamedTuple

from tidemill import settings
from tidemill.wire.keys import Keys


class Kept(NamedTuple):
    """Retention: how long a finished record is kept (ms), and how many a queue keeps."""

    ttl_ms: int = settings.RESULT_TTL_MS
    most: int = settings.MAX_FINISHED


class Shard:
    """One shard."""

    def __init__(self, keys: Keys, kept: Kept | None = None) -> None:
        self.keys = keys
        self.kept = kept or Kept()
