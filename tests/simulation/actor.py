"""Whoever moves in a simulated world: a program, and the step that it waits to make."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from simulation.ledger import Violation
from simulation.turns import Once, Program, Step
from simulation.world import World
from tidemill.client import Batch
from tidemill.errors import ServerUnavailable, TidemillError
from tidemill.wire.command import Command


class Fate(Enum):
    """What becomes of a request."""

    ANSWERED = "answered"
    REQUEST_LOST = "the request is lost"
    REPLY_LOST = "the reply is lost"


@dataclass(frozen=True, slots=True)
class Lot:
    """`applied`: how much of a batch the server has executed when its reply is lost, 0 to 1."""

    fate: Fate = Fate.ANSWERED
    applied: float = 1.0


class Actor:
    """It moves only in `turn`: its step is made, and it goes on to the next one."""

    def __init__(self, world: World, name: str, program: Program) -> None:
        self.name = name
        self.is_over = False
        self.step: Step = None
        self._world = world
        self._program = program
        self._go_on(None)

    def turn(self, lot: Lot) -> None:
        """Makes its step, if the lot allows. What is lost is sent again at its next turn, as a link does."""
        step = self.step
        if step is None:
            self._go_on(None)
            return
        try:
            answer = self._send(step, lot)
        except TidemillError as error:
            self._fail(error)
            return
        if lot.fate is Fate.ANSWERED:
            self._go_on(answer)
            return
        self._world.ledger.sometimes[lot.fate.value] += 1
        self._world.note(self.name, lot.fate.value)
        if isinstance(step, Once):
            self._fail(ServerUnavailable("the line is lost"))

    def _send(self, step: Command[Any] | Batch | Once, lot: Lot) -> Any:
        match step:
            case Batch():
                number = len(step.commands)
                if lot.fate is not Fate.ANSWERED:
                    number = int(lot.applied * (number + 1)) if lot.fate is Fate.REPLY_LOST else 0
                return [self._world.apply(self.name, command) for command in step.commands[:number]]
            case Once(command):
                return None if lot.fate is Fate.REQUEST_LOST else self._world.apply(self.name, command)
            case Command():
                return None if lot.fate is Fate.REQUEST_LOST else self._world.apply(self.name, step)

    def _go_on(self, answer: Any) -> None:
        try:
            self.step = self._program.send(answer)
        except StopIteration:
            self.is_over = True
        except TidemillError as error:
            raise Violation(f"{self.name} has failed: {error!r}") from error

    def _fail(self, error: TidemillError) -> None:
        try:
            self.step = self._program.throw(error)
        except StopIteration:
            self.is_over = True
        except TidemillError as failed:
            raise Violation(f"{self.name} has failed: {failed!r}") from failed

    def kill(self) -> None:
        """It ends where it stands."""
        self._program.close()
        self.is_over = True
