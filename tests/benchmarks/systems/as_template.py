"""Jobs of a template: what differs from its defaults is sent."""

from __future__ import annotations

from benchmarks.systems import preheating

enqueue_many = preheating.as_template
worker = preheating.worker


def enqueue(number: int) -> object:
    return enqueue_many([number])
