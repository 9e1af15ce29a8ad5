"""How many parts the bytes of a body have, and whether its headers tell the truth: before anything of it is built."""

from __future__ import annotations

from functools import partial

from tidemill.wire.bounds import MAX_DEPTH_LEVELS
from tidemill.wire.extensions import CONTAINERS, DATACLASS
from tidemill.wire.messagepack import new_unpacker, unpackb

# Up to this size the headers of arrays can't claim enough memory to matter (3 MB), so the structure is built
# without being skipped over first.
UNCHECKED_STRUCTURE_BYTES = 1024


class _TooManyParts(Exception):
    """Stops the count."""


class _Parts:
    """Counts the containers and extensions of a body while it is read, and keeps nothing of what is read."""

    __slots__ = ("_left",)

    def __init__(self, most: int) -> None:
        self._left = most

    def count(self, data: bytes, level: int = 0) -> None:
        """Raises _TooManyParts, or msgpack's errors for what it can't read."""
        if len(data) > UNCHECKED_STRUCTURE_BYTES:
            refuse_false_headers(data)
        extension = partial(self._extension, level)
        # Keys of maps stay pairs: hashing them is what could be made slow. Timestamps are refused later.
        unpackb(
            data,
            strict_map_key=False,
            list_hook=self._one,
            object_pairs_hook=self._one,
            ext_hook=extension,
            timestamp=2,
        )

    def _one(self, _: object) -> None:
        self._left -= 1
        if self._left < 0:
            raise _TooManyParts

    def _extension(self, level: int, code: int, payload: bytes) -> None:
        self._one(None)
        if level <= MAX_DEPTH_LEVELS and (code == DATACLASS or code in CONTAINERS.values()):
            self.count(payload, level + 1)


def has_more_parts(data: bytes, most: int) -> bool:
    """Whether a body has more parts. (Nearly always its openers alone prove that it has not.)"""
    try:
        _Parts(most).count(data)
    except _TooManyParts:
        return True
    return False


def refuse_false_headers(data: bytes) -> None:
    """Skips over the structure without building it: raises when a header claims more than there is."""
    unpacker = new_unpacker(max_buffer_size=len(data))
    unpacker.feed(data)
    unpacker.skip()
