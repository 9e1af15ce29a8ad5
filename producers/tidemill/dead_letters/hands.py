"""Who does something by hand, and why: what each entry of the audit says."""

from __future__ import annotations

import getpass
import os
import socket
from functools import cache

from tidemill.dead_letters import settings
from tidemill.errors import InvalidInput
from tidemill.ids import new_id
from tidemill.wire.scripts import Hand


def hand(by: str | None, reason: str, filter_words: str = "") -> Hand:
    """A new action of this person. by: None is the process's user and host. Raises InvalidInput."""
    name = who() if by is None else _line("by", by, 1, settings.MAX_BY_CHARS)
    return Hand(name, _line("reason", reason, 0, settings.MAX_REASON_CHARS), new_id(), filter_words)


@cache
def who() -> str:
    """user@host of this process, as the system has it: a name for colleagues, not a proof."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user that stands in no passwd file
        user = f"uid{os.getuid()}" if hasattr(os, "getuid") else "unknown"
    name = f"{user}@{socket.gethostname()}"
    return "".join(char if char.isprintable() else "?" for char in name)[: settings.MAX_BY_CHARS]


def _line(name: str, value: object, least: int, most: int) -> str:
    if isinstance(value, str) and least <= len(value) <= most and value.isprintable():
        return value
    seen = f"{len(value)} characters: {value[:40]!r}" if isinstance(value, str) else repr(value)
    raise InvalidInput(f"{name} must be one line of {least} to {most} printable characters, not {seen}")
