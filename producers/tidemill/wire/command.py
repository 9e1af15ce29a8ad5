"""A command to the server and how to read its answer, apart from how it is sent: sync and async links share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tidemill.wire.script import Script

T = TypeVar("T")

Argument = str | bytes | int | float


@dataclass(slots=True)  # not frozen: it is made for every call, and a frozen one takes twice as long to make
class Command(Generic[T]):
    """`words` as they are sent; `parse` turns the raw reply into T; `script` is loaded if the server lacks it."""

    words: tuple[Argument, ...]
    parse: Callable[[Any], T]
    script: Script | None = None


def call(
    script: Script, keys: tuple[str, ...], arguments: tuple[Argument, ...], parse: Callable[[Any], T]
) -> Command[T]:
    """EVALSHA of a script."""
    return Command(("EVALSHA", script.sha, len(keys), *keys, *arguments), parse, script)
