"""Tidemill: a message-queue driven worker fleet on Redis Streams.

    from tidemill import Tidemill

    mill = Tidemill()

    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    job = add.enqueue(1, 2)
    print(job.result(timeout=10))

Workers run with `tidemill worker MODULE:APP`, schedulers with `tidemill scheduler`.
"""

import typing

from tidemill.app import Tidemill
from tidemill.context import CurrentJob, Fence, current_job
from tidemill.errors import (
    BreakerOpen,
    CorruptRecord,
    EffectUnknown,
    EnqueueUnknown,
    InvalidArguments,
    InvalidInput,
    JobCancelled,
    JobExists,
    JobExpired,
    JobFailed,
    JobNotFound,
    PayloadTooLarge,
    QueueFull,
    RemoteError,
    ServerUnavailable,
    ServerUnsuitable,
    StaleAttempt,
    TidemillError,
    UnserializableValue,
)
from tidemill.job import Job, JobState
from tidemill.limits import Limit
from tidemill.once import Effect, once
from tidemill.retry import Retry
from tidemill.task import AsyncTask, Call, Task, call

if typing.TYPE_CHECKING:
    from tidemill.breakers import Breaker
    from tidemill.doctor import Finding, Report
    from tidemill.retry_calls import aretry_call, retry_call
    from tidemill.templates.template import Template

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022  grouped by subject
    # An application and its tasks.
    "Tidemill",
    "Task",
    "AsyncTask",
    "Call",
    "call",
    "Retry",
    "Breaker",
    "Limit",
    "Template",
    # Jobs.
    "Job",
    "JobState",
    # Inside a job.
    "retry_call",
    "aretry_call",
    "current_job",
    "CurrentJob",
    "Fence",
    "once",
    "Effect",
    # What `Tidemill.doctor` returns.
    "Report",
    "Finding",
    # Errors: the tree is drawn in `tidemill.errors`.
    "TidemillError",
    "InvalidInput",
    "UnserializableValue",
    "PayloadTooLarge",
    "InvalidArguments",
    "QueueFull",
    "BreakerOpen",
    "JobExists",
    "JobNotFound",
    "JobFailed",
    "JobExpired",
    "JobCancelled",
    "CorruptRecord",
    "RemoteError",
    "ServerUnavailable",
    "EnqueueUnknown",
    "StaleAttempt",
    "EffectUnknown",
    "ServerUnsuitable",
]

# Imported when they are first asked for, since a program that has no use for them would pay for them at its start.
_LAZY = {
    "Breaker": "tidemill.breakers",
    "Finding": "tidemill.doctor",
    "Report": "tidemill.doctor",
    "Template": "tidemill.templates.template",
    "aretry_call": "tidemill.retry_calls",
    "retry_call": "tidemill.retry_calls",
}

if not typing.TYPE_CHECKING:  # a type checker would take any name for one that this finds

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(_LAZY[name]), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LAZY})
