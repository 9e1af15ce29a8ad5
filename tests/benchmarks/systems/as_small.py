"""Plain jobs with the arguments that a template's jobs send, and no others."""

from __future__ import annotations

from benchmarks.systems import preheating

enqueue_many = preheating.as_small
worker = preheating.worker


def enqueue(number: int) -> object:
    return enqueue_many([number])
