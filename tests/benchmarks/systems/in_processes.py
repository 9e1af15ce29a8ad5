"""Tidemill with functions in killable processes."""

from __future__ import annotations

from functools import partial

from benchmarks.systems import application

enqueue = application.enqueuer(application.pnoop)
enqueue_many = application.bulk_enqueuer(application.pnoop)
# A child that is replaced in the middle of a run would be measured with it.
worker = partial(application.worker, "--child-processes=2", "--child-max-jobs=1000000")
