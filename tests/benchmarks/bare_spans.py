"""The limit of tracing: python -m benchmarks.bare_spans SPANS; prints JSON.

One thread starts, ends and exports spans of the OpenTelemetry SDK as a traced worker does for each job: the same batch
processor and exporter, as many attributes, a remote parent; and nothing around it: no job, and neither the parent nor
the attributes are made anew.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Final

from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, Tracer, set_span_in_context

# Those that `telemetry.process` gives a span at its start, and the one that it adds at its end.
ATTRIBUTES: Final[dict[str, str | int]] = {
    "messaging.system": "tidemill",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.destination.name": "default",
    "messaging.message.id": "01k000000000000000000",
    "messaging.tidemill.task": "bench.noop",
    "messaging.tidemill.attempt": 1,
    "messaging.client.id": "0123456789abcdef",
}
LAST_ATTRIBUTES: Final[dict[str, str | int]] = {"messaging.tidemill.outcome": "succeeded"}


def spans(tracer: Tracer, count: int) -> None:
    origin = SpanContext(trace_id=1, span_id=1, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    parent = set_span_in_context(NonRecordingSpan(origin))
    for _ in range(count):
        span = tracer.start_span("process default", parent, SpanKind.CONSUMER, ATTRIBUTES)
        span.set_attributes(LAST_ATTRIBUTES)
        span.end()


def main(count: int) -> None:
    from benchmarks.systems.with_tracing import provider

    began = time.perf_counter()
    spans(provider.get_tracer("bench"), count)
    provider.force_flush()
    print(json.dumps({"spans": count, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
