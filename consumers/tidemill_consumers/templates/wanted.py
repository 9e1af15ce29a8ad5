"""Which version a job wants, read from its options."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from tidemill.templates import reference
from tidemill_consumers.templates.version import Key

# All jobs of a version have the same bytes, unless they have terms of their own.
_MOST_OPTIONS: Final = 4_096


class Wanted(NamedTuple):
    """key, digest: the version that the job was enqueued for. is_late: the one that runs is chosen when it is taken.
    carried: the terms that are the job's own; None: it has none."""

    key: Key
    digest: bytes
    is_late: bool
    carried: Mapping[str, Any] | None


@lru_cache(_MOST_OPTIONS)
def wanted_by(options: bytes) -> Wanted:
    """Raises CorruptRecord."""
    found, carried = reference.read(options)
    terms = cast("Mapping[str, Any]", carried) or None
    return Wanted(Key(found.name, found.number), found.digest, found.is_late, terms)
