"""What is tried again, and what an error means for the caller: shared by both links."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Generator, Sequence
from types import TracebackType
from typing import Self

from tidemill import settings
from tidemill.connection.driver import DRIVER_ERRORS, fault_of
from tidemill.errors import GroupMissing, QueueFull, ServerUnavailable, ServerUnsuitable, TidemillError
from tidemill.faults import Fault
from tidemill.target import Target


class Attempts:
    """The attempts at one exchange: `with` it for each. A failure that may pass is swallowed, and sets `wait_seconds`;
    any other leaves as an error of ours. So after the `with` comes the next attempt.
    """

    __slots__ = ("_began", "_count", "_deadline_seconds", "_target", "wait_seconds")

    def __init__(self, target: Target, deadline_seconds: float) -> None:
        self._target = target
        self._deadline_seconds = deadline_seconds
        self._began = time.monotonic()
        self._count = 0
        self.wait_seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, TidemillError) or not isinstance(error, DRIVER_ERRORS):
            return False
        self._failed(error)
        return True

    def _failed(self, error: Exception) -> None:
        final = final_error(self._target, error)
        if final is not None:
            raise final from error
        # An idle connection may have been closed long ago: the first repeat is at once.
        most = settings.RETRY_BASE_SECONDS * 2**self._count if self._count else 0.0
        self.wait_seconds = random.uniform(0, min(settings.RETRY_CAP_SECONDS, most))
        self._count += 1
        if time.monotonic() - self._began + self.wait_seconds > self._deadline_seconds:
            tries = f"{self._count} tries" if self._count > 1 else "1 try"
            raise unavailable(self._target, error, f" within {self._deadline_seconds:g} s ({tries})") from error


def checked(replies: Sequence[object]) -> Sequence[object]:
    """The replies; raises the first of them that is an error."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def final_error(target: Target, error: Exception) -> TidemillError | None:
    """The error of ours for one that no repetition would mend; None: it may pass."""
    match fault_of(error):
        case Fault.LOST | Fault.BUSY | Fault.MOVED:
            return None
        case Fault.FULL:
            return QueueFull(f"{target.masked} has reached its maxmemory and refuses new jobs; workers still drain it")
        case Fault.DENIED:
            return ServerUnsuitable(f"{target.masked} refuses this user: {error}")
        case Fault.NO_GROUP:
            return GroupMissing(f"{target.masked}: {error}")
        case Fault.NO_SCRIPT | Fault.WRONG:
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
