"""Several commands in turn on one connection: WAIT answers for the writes of its own connection alone.

A dialogue is a generator: it yields a command and is sent the parsed answer, or thrown the error that no repetition
would mend. Sync and async links conduct it alike. When the connection is lost, the link begins it anew on another.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tidemill.wire.command import Command

T = TypeVar("T")

# What was found out about a connection's server, and when (time.monotonic); forgotten with the connection.
Facts = dict[str, float]

Turns = Generator[Command[Any], Any, T]


class Attempt(Protocol):
    """The attempt that a dialogue is a part of."""

    may_be_applied: bool

    @property
    def seconds_left(self) -> float: ...


@dataclass(slots=True)  # not frozen: as `Command`
class Dialogue(Generic[T]):
    """`begin` makes the generator; it sets `may_be_applied` as soon as an answer says that something was."""

    begin: Callable[[Facts, Attempt], Turns[T]]
