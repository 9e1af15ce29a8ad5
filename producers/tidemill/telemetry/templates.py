"""Measures of the templates' versions that workers hold. The package has the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple

from tidemill.telemetry import provider
from tidemill.telemetry.metrics import MESSAGING_BUCKETS_S

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

LoadOutcome = Literal["loaded", "unknown", "refused"]


def _make(meter: Meter) -> Histogram:
    return meter.create_histogram(
        "tidemill.template.load.duration",
        "s",
        "Time until a version that was not held was there.",
        explicit_bucket_boundaries_advisory=MESSAGING_BUCKETS_S,
    )


load_duration: provider.FromProvider[Histogram] = provider.from_meter(_make)
"""This process's instrument, or None while there is no meter provider."""


def template_loaded(outcome: LoadOutcome, seconds: float) -> None:
    """A version came from the server. unknown: it has none, or another one; refused: it is damaged or not signed."""
    if (known := load_duration()) is not None:
        known.record(seconds, {"messaging.tidemill.outcome": outcome})


class CacheFigures(NamedTuple):
    """Of one worker: what was asked of its cache since it started, and what is held now."""

    hits: int
    misses: int
    evictions: int
    entries: int
    bytes: int


class _Figures:
    """The observable instruments, over the workers of this process: one, outside of tests."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sources: list[Callable[[], CacheFigures]] = []
        self._created = False

    def add(self, source: Callable[[], CacheFigures]) -> Callable[[], None]:
        with self._lock:
            self._sources.append(source)
            if not self._created:
                self._created = True
                self._create()
        return lambda: self._sources.remove(source)

    def _create(self) -> None:
        meter, name = provider.meter_now_or_later(), "tidemill.template.cache"
        meter.create_observable_counter(f"{name}.requests", [self._requests], "{request}", "Versions that were asked.")
        meter.create_observable_counter(f"{name}.evictions", [self._evictions], "{version}", "Versions let go.")
        meter.create_observable_gauge(f"{name}.entries", [self._entries], "{version}", "Versions that are held.")
        meter.create_observable_gauge(f"{name}.bytes", [self._bytes], "By", "Memory that they take.")

    def _requests(self, _options: CallbackOptions) -> Iterator[Observation]:
        from opentelemetry.metrics import Observation

        for figures in self._all():
            yield Observation(figures.hits, {"messaging.tidemill.outcome": "hit"})
            yield Observation(figures.misses, {"messaging.tidemill.outcome": "miss"})

    def _evictions(self, _options: CallbackOptions) -> Iterator[Observation]:
        from opentelemetry.metrics import Observation

        yield from (Observation(figures.evictions) for figures in self._all())

    def _entries(self, _options: CallbackOptions) -> Iterator[Observation]:
        from opentelemetry.metrics import Observation

        yield from (Observation(figures.entries) for figures in self._all())

    def _bytes(self, _options: CallbackOptions) -> Iterator[Observation]:
        from opentelemetry.metrics import Observation

        yield from (Observation(figures.bytes) for figures in self._all())

    def _all(self) -> list[CacheFigures]:
        return [source() for source in list(self._sources)]


_figures = _Figures()


def template_cache_source(source: Callable[[], CacheFigures]) -> Callable[[], None]:
    """Feed `tidemill.template.cache.*` from `source`, on the exporter's thread; call its result to stop."""
    return _figures.add(source)
