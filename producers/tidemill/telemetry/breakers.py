"""The measures of circuit breakers. The package has the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from tidemill.telemetry import provider

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Counter, Meter, Observation

_LEVELS: Final[Mapping[str, int]] = {"closed": 0, "half_open": 1, "open": 2}

BreakerStates = Callable[[], Iterable[tuple[str, str]]]
"""Names of breakers, and their states."""


class _Instruments(NamedTuple):
    calls: Counter
    refused: Counter


def _make(meter: Meter) -> _Instruments:
    return _Instruments(
        calls=meter.create_counter("tidemill.breaker.calls", "{call}", "Calls that a breaker has let through."),
        refused=meter.create_counter("tidemill.breaker.refused", "{call}", "Calls that a breaker has refused."),
    )


_instruments: provider.FromProvider[_Instruments] = provider.from_meter(_make)


def breaker_called(breaker: str, outcome: Literal["succeeded", "failed", "slow", "nothing"]) -> None:
    """A call that the breaker has let through is over."""
    if (known := _instruments()) is not None:
        known.calls.add(1, {"messaging.tidemill.breaker": breaker, "messaging.tidemill.outcome": outcome})


def breaker_refused(breaker: str) -> None:
    """A call, or a job, was not let through."""
    if (known := _instruments()) is not None:
        known.refused.add(1, {"messaging.tidemill.breaker": breaker})


class _StateGauge:
    """The observable gauge over all applications of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sources: list[BreakerStates] = []
        self._created = False

    def add(self, source: BreakerStates) -> Callable[[], None]:
        with self._lock:
            self._sources.append(source)
            if not self._created:
                self._created = True
                provider.meter_now_or_later().create_observable_gauge(
                    "tidemill.breaker.state", [self._states], "1", "0 closed, 1 half-open, 2 open."
                )
        return lambda: self._sources.remove(source)

    def _states(self, _options: CallbackOptions) -> Iterator[Observation]:
        from opentelemetry.metrics import Observation

        for source in list(self._sources):
            for name, state in source():
                yield Observation(_LEVELS[state], {"messaging.tidemill.breaker": name})


_gauge: Final = _StateGauge()


def breaker_source(source: BreakerStates) -> Callable[[], None]:
    """Feed `tidemill.breaker.state` from `source`, on the exporter's thread; call its result to stop."""
    return _gauge.add(source)
