"""Spans of a real provider. It imports the tracing API, so only a process that has a provider imports this."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final, Literal

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TracerProvider,
    set_span_in_context,
)

from tidemill.telemetry.provider import SCHEMA_URL, SCOPE, TRACEPARENT, Attributes, current_span_context

Kind = Literal["PRODUCER", "CONSUMER", "CLIENT"]
_KINDS: Final[dict[Kind, SpanKind]] = {
    "PRODUCER": SpanKind.PRODUCER,
    "CONSUMER": SpanKind.CONSUMER,
    "CLIENT": SpanKind.CLIENT,
}


class ActiveSpan:
    """Ends in the thread or task, and in the context, that it was started in."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._token = context_api.attach(set_span_in_context(span))

    def end(self, attributes: Attributes, *, failed: bool) -> None:
        """A failure has no description: the text of an exception may hold arguments."""
        context_api.detach(self._token)
        if attributes:
            self._span.set_attributes(attributes)
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class Spans:
    """Starts spans of one provider."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer(SCOPE, version(SCOPE), SCHEMA_URL)

    def start(self, name: str, kind: Kind, attributes: Attributes, remote: str = "") -> ActiveSpan:
        """A span that is the current one, in this thread or task, from here to its `end()`.

        `remote` is the traceparent that a message carried: it becomes the parent, or a link when this code runs
        in a span already. One that does not parse is as good as none.
        """
        parent: Context | None = None
        links: list[Link] = []
        origin = _remote_context(remote)
        if origin is not None:
            if current_span_context() is None:
                parent = set_span_in_context(NonRecordingSpan(origin))
            else:
                links.append(Link(origin))
        return ActiveSpan(self._tracer.start_span(name, parent, _KINDS[kind], attributes, links))


def _remote_context(traceparent: str) -> SpanContext | None:
    found = TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    trace_id, span_id, flags = found.groups()
    context = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return context if context.is_valid else None
