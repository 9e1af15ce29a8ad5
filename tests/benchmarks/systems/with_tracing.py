"""Tidemill on threads with the OpenTelemetry SDK, its batch processor, and an exporter that discards."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.systems import application

mill = application.mill
enqueue = application.enqueuer(application.noop)
enqueue_many = application.bulk_enqueuer(application.noop)


def worker() -> list[str]:
    """Its application is this module, so that the provider is set in the worker too."""
    return [sys.executable, "-m", "tidemill", "worker", f"{__name__}:mill"]


# More than a run makes: spans that are dropped would cost nothing.
MAX_SPANS = 1_000_000


class Discarding(SpanExporter):
    """What an exporter costs on the other side of the network is not ours to measure."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Discarding(), max_queue_size=MAX_SPANS))
trace.set_tracer_provider(provider)
