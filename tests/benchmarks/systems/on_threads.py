"""Tidemill with functions on threads, the default."""

from __future__ import annotations

from functools import partial

from benchmarks.systems import application

enqueue = application.enqueuer(application.noop)
enqueue_many = application.bulk_enqueuer(application.noop)
worker = partial(application.worker)
