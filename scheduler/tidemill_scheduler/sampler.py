"""Feeds the gauges of queue depth and age. The metrics reader asks it, so it costs nothing when there is none."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tidemill.app import Tidemill
from tidemill.errors import TidemillError
from tidemill.telemetry import QueueSample


class Sampler:
    def __init__(self, mill: Tidemill) -> None:
        self._mill = mill

    def __call__(self) -> Iterable[QueueSample]:
        try:
            queues = self._mill.inspect.queues()
        except TidemillError:
            return  # no sample is better than an old one
        now_ms = time.time() * 1000
        for queue in queues:
            age_s = None if queue.oldest_ready_ms is None else max(0.0, (now_ms - queue.oldest_ready_ms) / 1000)
            yield QueueSample(queue.queue, queue.scheduled, queue.waiting, queue.running, queue.dead, age_s)
