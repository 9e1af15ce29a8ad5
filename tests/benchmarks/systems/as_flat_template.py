"""Jobs of a template whose defaults are texts alone: what differs from them is sent."""

from __future__ import annotations

from benchmarks.systems import preheating

enqueue_many = preheating.as_flat_template
worker = preheating.worker


def enqueue(number: int) -> object:
    return enqueue_many([number])
