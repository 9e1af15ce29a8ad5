"""What is tried again, and what an error means for the caller: shared by both links."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Generator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from tidemill import settings
from tidemill.connection.driver import DRIVER_ERRORS, fault_of
from tidemill.errors import GroupMissing, QueueFull, ServerUnavailable, ServerUnsuitable, TidemillError
from tidemill.faults import Fault
from tidemill.target import Target
from tidemill.wire.command import Command
from tidemill.wire.dialogue import Dialogue, Facts

T = TypeVar("T")


class Attempts:
    """The attempts at one exchange: `with` it for each. A failure that may pass is swallowed, and sets `wait_seconds`;
    any other leaves as an error of ours. So after the `with` comes the next attempt.

    Whoever sends sets `is_sent` before the first byte. If an attempt is lost after that, the server may have applied
    it, and no refusal of a later attempt says that it has not: the error that ends the call carries `may_be_applied`.
    """

    __slots__ = ("_began", "_count", "_deadline_seconds", "_target", "is_sent", "may_be_applied", "wait_seconds")

    def __init__(self, target: Target, deadline_seconds: float) -> None:
        self._target = target
        self._deadline_seconds = deadline_seconds
        self._began = time.monotonic()
        self._count = 0
        self.wait_seconds = 0.0
        self.is_sent = False
        self.may_be_applied = False

    @property
    def seconds_left(self) -> float:
        """Until the deadline; negative behind it."""
        return self._began + self._deadline_seconds - time.monotonic()

    def __enter__(self) -> Self:
        self.is_sent = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, TidemillError):
            self._marked(error)
            return False
        if not isinstance(error, DRIVER_ERRORS):
            return False
        self._failed(error)
        return True

    def _marked(self, error: TidemillError) -> TidemillError:
        error.may_be_applied = error.may_be_applied or self.may_be_applied
        return error

    def _failed(self, error: Exception) -> None:
        if self.is_sent and fault_of(error) is Fault.LOST:
            self.may_be_applied = True
        final = final_error(self._target, error)
        if final is not None:
            raise self._marked(final) from error
        # An idle connection may have been closed long ago: the first repeat is at once.
        most = settings.RETRY_BASE_SECONDS * 2**self._count if self._count else 0.0
        self.wait_seconds = random.uniform(0, min(settings.RETRY_CAP_SECONDS, most))
        self._count += 1
        if self.wait_seconds > self.seconds_left:
            tries = f"{self._count} tries" if self._count > 1 else "1 try"
            late = unavailable(self._target, error, f" within {self._deadline_seconds:g} s ({tries})")
            raise self._marked(late) from error


def conduct(
    target: Target, dialogue: Dialogue[T], facts: Facts, attempts: Attempts
) -> Generator[Command[Any], object, T]:
    """A dialogue in raw replies: yields what to send, and is sent what came back, errors of the server among it."""
    turns = dialogue.begin(facts, attempts)
    try:
        command = next(turns)
        while True:
            reply = yield command
            if not isinstance(reply, Exception):
                command = turns.send(command.parse(reply))
            elif (final := final_error(target, reply)) is not None:
                command = turns.throw(final)
            else:
                raise reply
    except StopIteration as over:
        result: T = over.value
        return result


def checked(replies: Sequence[object]) -> Sequence[object]:
    """The replies; raises the first of them that is an error."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def final_error(target: Target, error: Exception) -> TidemillError | None:
    """The error of ours for one that no repetition would mend; None: it may pass."""
    match fault_of(error):
        # A script that is missing although it was just loaded: somebody flushed all scripts in between.
        case Fault.LOST | Fault.BUSY | Fault.MOVED | Fault.NO_SCRIPT:
            return None
        case Fault.FULL:
            return QueueFull(f"{target.masked} has reached its maxmemory and refuses new jobs; workers still drain it")
        case Fault.DENIED:
            return ServerUnsuitable(f"{target.masked} refuses this user: {error}")
        case Fault.NO_GROUP:
            return GroupMissing(f"{target.masked}: {error}")
        case Fault.WRONG:
            return TidemillError(f"{target.masked} answered with an error: {error}")


def unavailable(target: Target, error: Exception, when: str = "") -> ServerUnavailable:
    return ServerUnavailable(f"no answer from {target.masked}{when}: {str(error) or type(error).__name__}")


@contextlib.contextmanager
def driver_errors_mapped(target: Target) -> Generator[None]:
    """For calls that are made once: whatever fails is one of ours."""
    try:
        yield
    except TidemillError:
        raise
    except DRIVER_ERRORS as error:
        raise final_error(target, error) or unavailable(target, error) from error


def examine(target: Target, answer: object) -> None:
    """Checks INFO's answer. A user who may not ask is served unexamined."""
    if not isinstance(answer, Exception):
        target.examine(answer)
    elif fault_of(answer) is Fault.DENIED:
        target.leave_unexamined(str(answer))
    else:
        raise answer
