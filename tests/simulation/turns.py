"""Programs that take turns: each yields what it wants from the server, and goes on when the driver answers.

Client operations and the simulated workers are generators. The scheduler's classes are plain functions that call a
link: `in_turns` runs them on a thread that only moves while the driver waits for it, so that they are generators as
well, and everything that happens is decided in one place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tidemill.client import Batch, Operation
from tidemill.connection import Link
from tidemill.errors import ServerUnavailable
from tidemill.target import Target
from tidemill.wire.command import Command
from tidemill.wire.dialogue import Dialogue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Once:
    """A command on a line: who sends it does not send it again, but sees ServerUnavailable and connects anew."""

    command: Command[Any]


# None: nothing is wanted, somebody else may move.
Step = Command[Any] | Batch | Once | None
Program = Generator[Step, Any, None]


@dataclass
class _Attempt:
    """The attempt that a dialogue is a part of: in a simulation it has no deadline."""

    may_be_applied: bool = False
    seconds_left: float = 60.0


def of_operation(operation: Operation[T]) -> Generator[Step, Any, T]:
    """A client's operation, as far as it talks to the server."""
    try:
        step = operation.send(None)
        while True:
            match step:
                case Dialogue():
                    answer = yield from _conducted(step)
                case Command() | Batch():
                    answer = yield step
                case _:
                    raise TypeError(f"a simulated client can't make the step {step!r}")
            step = operation.send(answer)
    except StopIteration as over:
        result: T = over.value
        return result


def _conducted(dialogue: Dialogue[Any]) -> Generator[Step, Any, Any]:
    """On one connection; when it is lost, anew on another."""
    while True:
        turns = dialogue.begin({}, _Attempt())
        try:
            command = turns.send(None)
            while True:
                command = turns.send((yield Once(command)))
        except StopIteration as over:
            return over.value
        except ServerUnavailable:
            continue


class Crashed(BaseException):
    """Raised inside a program that is killed, at the command that it waits for."""


class TurnLink(Link):
    """A link whose commands are sent by the driver."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._wanted = threading.Semaphore(0)
        self._answered = threading.Semaphore(0)
        self.step: Step = None
        self.is_over = False
        self.failure: BaseException | None = None
        self._answer: Any = None

    def run(self, command: Command[T]) -> T:
        answer: T = self._ask(command)
        return answer

    def run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        answers: list[Any] = self._ask(Batch(list(commands)))
        return answers

    def rest(self) -> None:
        """Others may move."""
        self._ask(None)

    def _ask(self, step: Step) -> Any:
        self.step = step
        self._wanted.release()
        self._answered.acquire()
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer

    def serve(self, program: Callable[[TurnLink], object]) -> None:
        """The thread's own."""
        try:
            program(self)
        except Crashed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by the driver
            self.failure = error
        finally:
            self.is_over = True
            self._wanted.release()

    def await_step(self) -> None:
        self._wanted.acquire()
        if self.failure is not None:
            raise self.failure

    def answer(self, answer: Any) -> None:
        self._answer = answer
        self._answered.release()


def in_turns(program: Callable[[TurnLink], object], target: Target) -> Program:
    """A function that calls a link, as a generator. Closing it kills the function at the command it waits for."""
    link = TurnLink(target)
    thread = threading.Thread(target=link.serve, args=(program,), daemon=True)
    thread.start()
    try:
        link.await_step()
        while not link.is_over:
            try:
                answer = yield link.step
            except Exception as error:  # noqa: BLE001 - the program decides
                answer = error
            link.answer(answer)
            link.await_step()
    finally:
        if not link.is_over:
            link.answer(Crashed())
        thread.join()
