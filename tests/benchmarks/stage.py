"""The stages of a job on its way to its start, and how the recorder keeps them: one row for each stage of each job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.recorder import Start

STAGES: Final = ("delivered", "taken", "started")
# The time of a stage that a job has not been through: a worker that asks for jobs also gets those that are waiting,
# without that their tickets were delivered before.
NEVER: Final = 0


def row(number: int, stage: str) -> int:
    """The number under which the recorder keeps this stage of this job."""
    return number * len(STAGES) + STAGES.index(stage)


def of_stage(starts: Sequence[Start], stage: str) -> list[Start]:
    """The times of one stage, of the jobs that went through it."""
    return [
        Start(start.number // len(STAGES), start.at_ns)
        for start in starts
        if STAGES[start.number % len(STAGES)] == stage and start.at_ns != NEVER
    ]
