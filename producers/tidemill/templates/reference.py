"""Which version of which template a job is of: as it travels, first among the job's options.

The options are signed with the job, so a reference can't be moved to another one. The number finds the content, and the
digest tells whether that is what was meant: after a restore or a failover the same number may mean something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, cast

from tidemill import validation
from tidemill.errors import CorruptRecord, InvalidInput
from tidemill.wire import envelope

# Of the version's digest. 64 bits tell contents apart; who could forge them could as well forge the job.
DIGEST_BYTES: Final = 8
# Numbers are exact in Lua's doubles up to here; a version a microsecond does not get there in a lifetime.
MAX_NUMBER: Final = 2**53

_KEY: Final = "tpl"
# Behind the map's first byte: a text of three bytes.
_MARK: Final = b"\xa3tpl"
# A map of up to 15 entries says in its first byte how many.
_SMALL_MAP: Final = 0x80
_MOST_IN_SMALL_MAP: Final = 15


class Reference(NamedTuple):
    """number, digest (its first 8 bytes): of the version that the job was enqueued for; `is_late`: the one that runs is
    chosen when the job starts, and this is the one that its arguments were written for."""

    name: str
    number: int
    digest: bytes
    is_late: bool


def write(reference: Reference, carried: bytes) -> bytes:
    """The options of a job: the reference, then those that the job has of its own, as `Options.carried` packs them."""
    name, number, digest, is_late = reference
    parts = [name, number, digest[:DIGEST_BYTES], *([1] if is_late else [])]
    alone = envelope.pack({_KEY: parts})
    if not carried:
        return alone
    more = carried[0] - _SMALL_MAP
    if not 0 <= more < _MOST_IN_SMALL_MAP:
        raise CorruptRecord("a job's options are not a small map")
    return bytes([_SMALL_MAP + 1 + more]) + alone[1:] + carried[1:]


def is_template(options: bytes) -> bool:
    """Whether these are the options of a template's job, without reading them."""
    return options[1:5] == _MARK


def read(options: bytes) -> tuple[Reference, Mapping[str, object]]:
    """The reference, and the options that the job has of its own. Raises CorruptRecord."""
    found = envelope.unpack(options)
    if not is_template(options) or not isinstance(found, dict):
        raise CorruptRecord("a job's options begin with no reference to a template")
    others = cast("dict[str, object]", found)
    try:
        return _checked(others.pop(_KEY)), others
    except InvalidInput as error:
        raise CorruptRecord(f"a job's reference to its template can't be read: {error}") from error


def shown(options: bytes) -> str | None:
    """A reference as people read it; None: these are no options of a template's job."""
    if not is_template(options):
        return None
    try:
        found, _ = read(options)
    except CorruptRecord as error:
        return str(error)
    which = f"written for version {found.number}, chosen at the start" if found.is_late else f"version {found.number}"
    return f"{found.name}, {which}"


def _checked(parts: object) -> Reference:
    match parts:
        case [str(name), int(number), bytes(digest)] if len(digest) == DIGEST_BYTES:
            is_late = False
        case [str(name), int(number), bytes(digest), 1] if len(digest) == DIGEST_BYTES:
            is_late = True
        case _:
            raise CorruptRecord("a job's reference to its template is not name, number and digest")
    number = validation.whole("its number", number, 1, MAX_NUMBER)
    return Reference(validation.template_name(name), number, digest, is_late)
