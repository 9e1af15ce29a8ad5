"""Plain jobs with all arguments, compressed with zstd."""

from __future__ import annotations

from benchmarks.systems import preheating

enqueue_many = preheating.as_zstd
worker = preheating.worker


def enqueue(number: int) -> object:
    return enqueue_many([number])
