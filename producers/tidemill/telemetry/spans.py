"""Spans of sending, processing and settling jobs, with the `messaging.*` metrics that go with each.

Every call has two shapes: while no provider is set it returns something that does next to nothing (no-op jobs
run at 60,000 a second in one process), else something that is observed.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from tidemill.telemetry.metrics import instruments
from tidemill.telemetry.provider import Attributes, current_span_context, spans, traceparent_of
from tidemill.wire.keys import GROUP

if TYPE_CHECKING:
    from tidemill.telemetry.active_span import ActiveSpan, Kind

SYSTEM = "tidemill"
_GROUP: Attributes = {"messaging.consumer.group.name": GROUP}
# An attempt that ended so has failed: its error.type is `_OTHER` when nobody knows a better one.
FAILED_OUTCOMES = frozenset({"dead", "retried"})
OTHER_ERROR = "_OTHER"

OperationName = Literal["send", "process", "settle"]
_KINDS: dict[OperationName, Kind] = {"send": "PRODUCER", "process": "CONSUMER", "settle": "CLIENT"}


class Server(NamedTuple):
    """Where a client is connected to: a host's name or address, or the path of a unix socket (no port)."""

    address: str
    port: int | None = None


@dataclass(slots=True)
class JobLabels:
    """The job that this code runs for: what log records in it are labelled with."""

    job_id: str
    task: str
    attempt: int
    traceparent: str = ""


current: ContextVar[JobLabels | None] = ContextVar("tidemill_current", default=None)
"""The job that this thread or asyncio task works on: set in `process()`, inherited by tasks it starts."""


def inject() -> str:
    """The traceparent to store in a job's record: that of the current span, whoever started it, or "".

    In a job that runs where nobody traces, it is the one that the job came with: the trace goes on after it.
    """
    context = current_span_context()
    if context is not None:
        return traceparent_of(context)
    job = current.get()
    return "" if job is None else job.traceparent


def received(queue: str, count: int, server: Server | None = None) -> None:
    """`count` jobs were delivered to this worker. A job counts at each of its deliveries."""
    if (known := instruments()) is not None:
        known.consumed.add(count, _labels("receive", queue, server) | _GROUP)


class Operation:
    """A block in which a client sends or settles. Enter and leave it in one thread and context."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


_UNOBSERVED = Operation()


def send(
    queue: str,
    task: str = "",
    *,
    job_id: str | None = None,
    count: int = 1,
    body_bytes: int | None = None,
    server: Server | None = None,
) -> Operation:
    """The block in which `count` jobs are enqueued; `inject()` inside of it gives what their records carry.

    Args:
        task: empty when the batch has several.
        job_id: of a single job.
        body_bytes: the size of a single job's body. The conventions make it opt-in.
    """
    if spans() is None and instruments() is None:
        return _UNOBSERVED
    details = _of_messages(job_id, count)
    if task:
        details["messaging.tidemill.task"] = task
    if body_bytes is not None and count == 1:
        details["messaging.message.body.size"] = body_bytes
    return _ObservedOperation(_Observation("send", queue, server, details), {}, count_sent=count)


def settle(queue: str, count: int, outcome: str, job_id: str | None = None, server: Server | None = None) -> Operation:
    """The block in which a worker tells the server that `count` jobs of `queue` ended with `outcome`."""
    if spans() is None and instruments() is None:
        return _UNOBSERVED
    details = _of_messages(job_id, count) | {"messaging.tidemill.outcome": outcome}
    return _ObservedOperation(_Observation("settle", queue, server, details), _GROUP)


class Processing(JobLabels):
    """An attempt at a job, from its first line to its last."""

    __slots__ = ("_token",)
    _token: Token[JobLabels | None]

    def __enter__(self) -> Self:
        self._token = current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        current.reset(self._token)

    def outcome(self, state: str, error_type: str | None = None) -> None:
        """How it ended: `succeeded`, `retried`, `dead`, `parked`, `cancelled` or `fenced`.

        `error_type` is the exception's class, if there was one.
        """


def process(
    queue: str,
    task: str,
    job_id: str,
    attempt: int,
    traceparent: str = "",
    worker_id: str = "",
    server: Server | None = None,
) -> Processing:
    """The block that a job's code runs in: enter and leave it in the thread or asyncio task of that code.

    Inside, `current` names the job and the user's spans are children of this one. Say how it went by
    calling `outcome()` on what the block yields; else an exception that leaves the block is a failure.
    """
    if spans() is None and instruments() is None:
        return Processing(job_id, task, attempt, traceparent)
    details: Attributes = {
        "messaging.message.id": job_id,
        "messaging.tidemill.task": task,
        "messaging.tidemill.attempt": attempt,
    }
    if worker_id:
        details["messaging.client.id"] = worker_id
    return _ObservedProcessing(job_id, task, attempt, traceparent, _Observation("process", queue, server, details))


def _labels(operation: str, queue: str, server: Server | None) -> Attributes:
    labels: Attributes = {
        "messaging.system": SYSTEM,
        "messaging.operation.name": operation,
        "messaging.destination.name": queue,
    }
    if server is not None:
        labels["server.address"] = server.address
        if server.port is not None:
            labels["server.port"] = server.port
    return labels


def _of_messages(job_id: str | None, count: int) -> Attributes:
    if count != 1:
        return {"messaging.batch.message_count": count}
    return {} if job_id is None else {"messaging.message.id": job_id}


def _error_type(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class _Observation:
    """One operation's span, its duration, and the labels of its metrics."""

    __slots__ = ("_details", "_queue", "_span", "_started_s", "labels", "name")

    def __init__(self, name: OperationName, queue: str, server: Server | None, details: Attributes) -> None:
        self.name: OperationName = name
        self._queue = queue
        self._details = details
        self._span: ActiveSpan | None = None
        self._started_s = 0.0
        self.labels = _labels(name, queue, server)

    def begin(self, remote: str = "") -> None:
        known = spans()
        if known is not None:
            attributes = self.labels | {"messaging.operation.type": self.name} | self._details
            self._span = known.start(f"{self.name} {self._queue}", _KINDS[self.name], attributes, remote)
        self._started_s = perf_counter()

    def end(self, error_type: str | None, span_details: Attributes | None = None) -> float:
        """Returns how long it took in seconds."""
        elapsed_s = perf_counter() - self._started_s
        error: Attributes = {} if error_type is None else {"error.type": error_type}
        self.labels |= error
        if self._span is not None:
            self._span.end(error | (span_details or {}), failed=error_type is not None)
        return elapsed_s


class _ObservedOperation(Operation):
    __slots__ = ("_count_sent", "_metric_labels", "_observation")

    def __init__(self, observation: _Observation, metric_labels: Attributes, count_sent: int = 0) -> None:
        self._observation = observation
        self._metric_labels = metric_labels
        self._count_sent = count_sent

    def __enter__(self) -> Self:
        self._observation.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        observation = self._observation
        elapsed_s = observation.end(None if kind is None else _error_type(kind))
        if (known := instruments()) is None:
            return
        labels = observation.labels | self._metric_labels
        known.operation_duration.record(elapsed_s, labels | {"messaging.operation.type": observation.name})
        if self._count_sent:
            known.sent.add(self._count_sent, labels)


class _ObservedProcessing(Processing):
    __slots__ = ("_error_type", "_observation", "_state")

    def __init__(self, job_id: str, task: str, attempt: int, traceparent: str, observation: _Observation) -> None:
        super().__init__(job_id, task, attempt, traceparent)
        self._observation = observation
        self._state = ""
        self._error_type: str | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        self._observation.begin(remote=self.traceparent)
        return self

    def outcome(self, state: str, error_type: str | None = None) -> None:
        self._state = state
        self._error_type = error_type or (OTHER_ERROR if state in FAILED_OUTCOMES else None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if not self._state and kind is not None:
            self._error_type = _error_type(kind)
        told: Attributes = {"messaging.tidemill.outcome": self._state} if self._state else {}
        elapsed_s = self._observation.end(self._error_type, told)
        if (known := instruments()) is not None:
            labels = self._observation.labels | _GROUP | told | {"messaging.tidemill.task": self.task}
            known.process_duration.record(elapsed_s, labels)
