"""Tidemill with `async def` functions."""

from __future__ import annotations

from functools import partial

from benchmarks.systems import application

enqueue = application.enqueuer(application.anoop)
enqueue_many = application.bulk_enqueuer(application.anoop)
worker = partial(application.worker)
