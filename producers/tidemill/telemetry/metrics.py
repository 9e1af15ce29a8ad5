"""The instruments, and Tidemill's own measures of jobs and queues. The package has the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple

from tidemill.telemetry import provider
from tidemill.telemetry.provider import Attributes

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation

    from tidemill.wire.scripts import Limit

# The messaging conventions' advice for the buckets of a duration.
MESSAGING_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
# A wait runs from under a millisecond on an idle queue to an hour and more on one that is behind.
WAIT_BUCKETS_S = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    60.0,
    300.0,
    3600.0,
)

ParkReason = Literal["unknown_task", "breaker_open", "no_permit", "no_keys", "unknown_template"]
RefuseReason = Literal["unsigned", "malformed", "key", "mac", "expired"]


class Instruments(NamedTuple):
    """All synchronous instruments, made of one meter."""

    sent: Counter
    consumed: Counter
    operation_duration: Histogram
    process_duration: Histogram
    start_latency: Histogram
    lateness: Histogram
    settled: Counter
    retried: Counter
    recovered: Counter
    parked: Counter
    refused: Counter
    pressed: Counter
    turned_away: Counter
    shed: Counter
    repairs: Counter


def _make(meter: Meter) -> Instruments:
    def duration(name: str, what: str, buckets_s: tuple[float, ...]) -> Histogram:
        return meter.create_histogram(name, "s", what, explicit_bucket_boundaries_advisory=buckets_s)

    def jobs(name: str, what: str) -> Counter:
        return meter.create_counter(name, "{job}", what)

    return Instruments(
        sent=meter.create_counter("messaging.client.sent.messages", "{message}", "Jobs sent, or tried to."),
        consumed=meter.create_counter("messaging.client.consumed.messages", "{message}", "Deliveries of jobs."),
        operation_duration=duration(
            "messaging.client.operation.duration", "Time to send or to settle.", MESSAGING_BUCKETS_S
        ),
        process_duration=duration("messaging.process.duration", "Time that jobs ran.", MESSAGING_BUCKETS_S),
        start_latency=duration("tidemill.job.start_latency", "From ready to started.", WAIT_BUCKETS_S),
        lateness=duration("tidemill.job.lateness", "From a delayed job's due time to started.", WAIT_BUCKETS_S),
        settled=jobs("tidemill.jobs.settled", "Jobs that came to an end."),
        retried=jobs("tidemill.jobs.retried", "Attempts that failed and are tried again."),
        recovered=jobs("tidemill.jobs.recovered", "Jobs taken back from workers that died."),
        parked=jobs("tidemill.jobs.parked", "Jobs put off that could not run yet."),
        repairs=meter.create_counter("tidemill.doctor.repairs", "{repair}", "What the doctor has mended."),
        pressed=jobs("tidemill.jobs.pressed", "Jobs that got into a queue which is filling up."),
        turned_away=jobs("tidemill.jobs.turned_away", "Jobs that did not get into a full queue."),
        shed=jobs("tidemill.jobs.shed", "Jobs dropped from a full queue, in the place of which others got in."),
        refused=jobs("tidemill.jobs.refused", "Jobs without a signature that this worker accepts."),
    )


instruments: provider.FromProvider[Instruments] = provider.from_meter(_make)
"""This process's instruments, or None while there is no meter provider."""


def is_measured() -> bool:
    """Whether there is a meter provider: what only a metric needs is not computed without one."""
    return instruments() is not None


def job_started(queue: str, start_latency_s: float, lateness_s: float | None = None) -> None:
    """A job starts.

    Args:
        start_latency_s: since it was ready, that is in the stream. Below 0 (two clocks) counts as 0.
        lateness_s: since it was due, if it was delayed: what the scheduler took, and the start latency.
    """
    if (known := instruments()) is None:
        return
    labels: Attributes = {"messaging.destination.name": queue}
    known.start_latency.record(max(0.0, start_latency_s), labels)
    if lateness_s is not None:
        known.lateness.record(max(0.0, lateness_s), labels)


def jobs_settled(queue: str, outcome: str, count: int = 1) -> None:
    """`count` jobs came to their end. `outcome` is the terminal state's name."""
    if (known := instruments()) is not None:
        known.settled.add(count, {"messaging.destination.name": queue, "messaging.tidemill.outcome": outcome})


def jobs_retried(queue: str, count: int = 1) -> None:
    """`count` attempts failed, and their jobs went back to the wheel."""
    if (known := instruments()) is not None:
        known.retried.add(count, {"messaging.destination.name": queue})


def jobs_recovered(queue: str, count: int = 1) -> None:
    """`count` jobs were taken back from a worker whose lease was over."""
    if (known := instruments()) is not None:
        known.recovered.add(count, {"messaging.destination.name": queue})


def jobs_parked(queue: str, reason: ParkReason, count: int = 1) -> None:
    """`count` jobs were put off without spending an attempt."""
    if (known := instruments()) is not None:
        known.parked.add(count, {"messaging.destination.name": queue, "messaging.tidemill.reason": reason})


def jobs_pressed(queue: str, limit: Limit, count: int) -> None:
    """`count` jobs got into a queue of which 85 % of a limit are used."""
    if (known := instruments()) is not None:
        known.pressed.add(count, {"messaging.destination.name": queue, "messaging.tidemill.reason": limit})


def jobs_turned_away(queue: str, limit: Limit, count: int) -> None:
    """`count` jobs did not get into a queue, for want of room or of time."""
    if (known := instruments()) is not None:
        known.turned_away.add(count, {"messaging.destination.name": queue, "messaging.tidemill.reason": limit})


def jobs_shed(queue: str, limit: str, count: int) -> None:
    """`count` jobs that waited were dropped from a queue over this limit. They count as expired as well."""
    if (known := instruments()) is not None:
        labels: Attributes = {"messaging.destination.name": queue}
        known.shed.add(count, {**labels, "messaging.tidemill.reason": limit})
        known.settled.add(count, {**labels, "messaging.tidemill.outcome": "expired"})


def job_refused(queue: str, reason: RefuseReason) -> None:
    """A job has no signature, or none that this worker accepts."""
    if (known := instruments()) is not None:
        known.refused.add(1, {"messaging.destination.name": queue, "messaging.tidemill.reason": reason})


def repaired(kind: str) -> None:
    """The doctor has mended something. Without a fault before it, that is a bug."""
    if (known := instruments()) is not None:
        known.repairs.add(1, {"messaging.tidemill.kind": kind})


class QueueSample(NamedTuple):
    """How many jobs a queue has in each place, and for how many seconds its oldest ready one has waited."""

    queue: str
    wheel: int
    ready: int
    running: int
    dead: int
    oldest_age_s: float | None = None


class _Gauges:
    """The two observable gauges of this process, over all sources that were given."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sources: list[Callable[[], Iterable[QueueSample]]] = []
        self._created = False

    def add(self, source: Callable[[], Iterable[QueueSample]]) -> Callable[[], None]:
        with self._lock:
            self._sources = [*self._sources, source]
            if not self._created:
                self._create()
                self._created = True
        return lambda: self._remove(source)

    def _remove(self, source: Callable[[], Iterable[QueueSample]]) -> None:
        with self._lock:
            self._sources = [kept for kept in self._sources if kept is not source]

    def _create(self) -> None:
        meter = provider.meter_now_or_later()
        meter.create_observable_gauge("tidemill.queue.depth", [self._depths], "{job}", "Jobs in a place.")
        meter.create_observable_gauge(
            "tidemill.queue.oldest_age", [self._ages], "s", "How long the oldest ready job has been waiting."
        )

    def _samples(self) -> Iterator[QueueSample]:
        for source in self._sources:
            yield from source()

    def _depths(self, _options: CallbackOptions) -> Iterator[Observation]:
        from opentelemetry.metrics import Observation

        for sample in self._samples():
            for place in ("wheel", "ready", "running", "dead"):
                labels = {"messaging.destination.name": sample.queue, "messaging.tidemill.place": place}
                yield Observation(getattr(sample, place), labels)

    def _ages(self, _options: CallbackOptions) -> Iterator[Observation]:
        from opentelemetry.metrics import Observation

        for sample in self._samples():
            if sample.oldest_age_s is not None:
                yield Observation(sample.oldest_age_s, {"messaging.destination.name": sample.queue})


class _LimitGauge:
    """The observable gauge of adaptive limits, over the workers of this process: one, outside of tests."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sources: list[tuple[str, Callable[[], int]]] = []
        self._created = False

    def add(self, algorithm: str, limit: Callable[[], int]) -> Callable[[], None]:
        source = algorithm, limit
        with self._lock:
            self._sources.append(source)
            if not self._created:
                self._created = True
                provider.meter_now_or_later().create_observable_gauge(
                    "tidemill.worker.concurrency_limit", [self._limits], "{job}", "Jobs that may run at once."
                )
        return lambda: self._sources.remove(source)

    def _limits(self, _options: CallbackOptions) -> Iterator[Observation]:
        from opentelemetry.metrics import Observation

        for algorithm, limit in list(self._sources):
            yield Observation(limit(), {"messaging.tidemill.limiter": algorithm})


_gauges = _Gauges()
_limit_gauge = _LimitGauge()


def limit_source(algorithm: str, limit: Callable[[], int]) -> Callable[[], None]:
    """Feed `tidemill.worker.concurrency_limit` from `limit`, on the exporter's thread; call its result to stop."""
    return _limit_gauge.add(algorithm, limit)


def gauge_source(source: Callable[[], Iterable[QueueSample]]) -> Callable[[], None]:
    """Feed `tidemill.queue.depth` and `tidemill.queue.oldest_age` from `source`; call its result to stop.

    `source` is called twice at each collection, on the exporter's thread: it should hand out the sampler's
    last figures, not fetch new ones. This is the one call that imports OpenTelemetry's API by itself, so that
    the gauges work with a provider that is set later.
    """
    return _gauges.add(source)
