"""Plain jobs with all arguments."""

from __future__ import annotations

from benchmarks.systems import preheating

enqueue_many = preheating.as_whole
worker = preheating.worker


def enqueue(number: int) -> object:
    return enqueue_many([number])
