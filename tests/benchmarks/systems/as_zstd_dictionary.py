"""Plain jobs with all arguments, compressed with zstd and a dictionary that was trained for them."""

from __future__ import annotations

from benchmarks.systems import preheating

enqueue_many = preheating.as_zstd_dictionary
worker = preheating.worker


def enqueue(number: int) -> object:
    return enqueue_many([number])
