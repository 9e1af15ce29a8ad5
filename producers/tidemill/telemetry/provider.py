"""OpenTelemetry's API, reached only when this process has set a provider.

An API without a provider still costs 0.6 µs to ask, and as much again for each no-op call, on a path that
runs 60,000 times a second. So this looks first where the API keeps the provider. That is a private variable:
where it is missing (another release of the API), the public function is asked instead, which is slower and as
right. Nothing is decided once for all, since a provider may be set at any time.

That `opentelemetry` is in `sys.modules` says nothing: redis-py 8 imports the API, and the SDK if installed.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter, MeterProvider
    from opentelemetry.trace import Span, SpanContext, TracerProvider

    from tidemill.telemetry.active_span import Spans

Attributes = dict[str, str | int]
Made = TypeVar("Made")

SCOPE = "tidemill"
# The release of the semantic conventions that the names in this package are of.
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

# W3C Trace Context, version 00: the only one that is ever written into a record.
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_TRACE_API = "opentelemetry.trace"
_CONTEXT_API = "opentelemetry.context"
_UNKNOWN = object()


class _Api(Protocol):
    def get_current_span(self) -> Span: ...
    def get_current(self) -> Context: ...


_modules = cast("dict[str, _Api]", sys.modules)


class FromProvider(Generic[Made]):
    """Call it for what `make` makes of the process's provider; None while there is no provider.

    It is made anew should another provider take the first one's place, as tests do.
    """

    __slots__ = ("_attribute", "_by_environment", "_get", "_keeper", "_kept", "_make", "_public")

    def __init__(self, public: str, keeper: str, signal: str, make: Callable[[object], Made]) -> None:
        self._public, self._keeper = public, keeper
        self._attribute, self._get = f"_{signal.upper()}_PROVIDER", f"get_{signal}_provider"
        self._by_environment = f"OTEL_PYTHON_{signal.upper()}_PROVIDER" in os.environ
        self._make = make
        self._kept: tuple[object, Made] | None = None

    def __call__(self) -> Made | None:
        api = _modules.get(self._keeper)
        if api is not None:
            provider = getattr(api, self._attribute, _UNKNOWN)
        else:
            provider = _UNKNOWN if self._public in _modules else None
        if provider is None and not self._by_environment:
            return None
        kept = self._kept
        return kept[1] if kept is not None and kept[0] is provider else self._renew(provider)

    def _renew(self, provider: object) -> Made | None:
        if provider is None or provider is _UNKNOWN:
            provider = self._ask()
        if provider is None:
            return None
        if self._kept is None or self._kept[0] is not provider:
            self._kept = (provider, self._make(provider))
        return self._kept[1]

    def _ask(self) -> object:
        provider: object = None
        with contextlib.suppress(Exception):  # the API has logged why: telemetry must never stop a job
            provider = getattr(importlib.import_module(self._public), self._get)()
        self._by_environment = False  # what the environment names is loaded by now, or can't be
        return None if "Proxy" in type(provider).__name__ else provider


def _spans_of(provider: object) -> Spans:
    from tidemill.telemetry.active_span import Spans

    return Spans(cast("TracerProvider", provider))


spans: FromProvider[Spans] = FromProvider(_TRACE_API, _TRACE_API, "tracer", _spans_of)
"""What starts this process's spans, or None."""


def from_meter(make: Callable[[Meter], Made]) -> FromProvider[Made]:
    """Call what this returns for what `make` makes of this process's meter, or None."""

    def of_provider(provider: object) -> Made:
        return make(cast("MeterProvider", provider).get_meter(SCOPE, _version(), SCHEMA_URL))

    return FromProvider("opentelemetry.metrics", "opentelemetry.metrics._internal", "meter", of_provider)


def _version() -> str:
    from importlib.metadata import version  # it imports as much as the rest of `import tidemill`: only meters need it

    return version(SCOPE)


def meter_now_or_later() -> Meter:
    """A meter whose instruments come to life when a provider is set. It imports the metrics API."""
    from opentelemetry import metrics

    return metrics.get_meter(SCOPE, _version(), schema_url=SCHEMA_URL)


def current_span_context() -> SpanContext | None:
    """The context of the span that this code runs in, whoever started it; None outside of any."""
    get_current_span = getattr(_modules.get(_TRACE_API), "get_current_span", None)
    if get_current_span is None or not _modules[_CONTEXT_API].get_current():  # an empty context holds no span
        return None
    context: SpanContext = get_current_span().get_span_context()
    return context if context.is_valid else None


def traceparent_of(context: SpanContext) -> str:
    """`context` as a W3C `traceparent`."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def trace_id_in(traceparent: str) -> str:
    """The trace id in a W3C `traceparent`, 32 hex digits; empty when that is empty or not one."""
    found = TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else ""
