"""The terms on which a job runs: its own go before its template's, and those before its task's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from tidemill import validation
from tidemill.errors import CorruptRecord, InvalidInput
from tidemill.retry import Retry
from tidemill.task import Definition
from tidemill.wire import envelope

_MAX_TIMEOUT_MS: Final = validation.MAX_DELAY_DAYS * 86_400_000


class Terms(NamedTuple):
    retry: Retry
    timeout_ms: int | None
    critical: bool


def terms_of(definition: Definition) -> Terms:
    """A task's."""
    return Terms(definition.retry, definition.timeout_ms, definition.critical)


def read(carried: bytes) -> Mapping[str, Any]:
    """What `Options.carried` packed. Raises CorruptRecord."""
    found = envelope.unpack(carried)
    if not isinstance(found, dict):
        raise CorruptRecord(f"a {type(found).__name__} and not a map")
    return cast("dict[str, Any]", found)


def changed(terms: Terms, carried: Mapping[str, Any]) -> Terms:
    """These terms, but for what is carried. Raises CorruptRecord."""
    retry, timeout_ms, critical = terms
    try:
        retry = Retry.from_wire(carried, retry) if "retry" in carried else retry
        if "timeout_ms" in carried:
            timeout_ms = validation.whole("timeout_ms", carried["timeout_ms"], 1, _MAX_TIMEOUT_MS)
        critical = validation.flag("critical", carried.get("critical", critical))
    except (InvalidInput, TypeError, ValueError, AttributeError) as error:
        raise CorruptRecord(str(error)) from error
    return Terms(retry, timeout_ms, critical)


def pack(terms: Terms) -> bytes:
    """The options of a job that has all these terms of its own."""
    carried = terms.retry.to_wire() | {"critical": terms.critical}
    if terms.timeout_ms is not None:
        carried["timeout_ms"] = terms.timeout_ms
    return envelope.pack(carried)
