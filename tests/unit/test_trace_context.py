"""The trace context: from the span that sends a job, by its record, to the span that processes it."""

from __future__ import annotations

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tidemill import telemetry
from unit.collected import only_span

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_process_is_a_child_of_the_send_that_made_the_job(exporter: InMemorySpanExporter) -> None:
    with telemetry.send("images", "app.thumb", job_id="j1"):
        traceparent = telemetry.inject()
    with telemetry.process("images", "app.thumb", job_id="j1", attempt=1, traceparent=traceparent):
        pass
    sent, processed = exporter.get_finished_spans()
    assert sent.context is not None
    assert processed.parent is not None
    assert processed.parent.span_id == sent.context.span_id
    assert processed.parent.trace_id == sent.context.trace_id
    assert processed.parent.is_remote
    assert not processed.links


def test_process_links_to_the_send_when_a_span_is_there_already(exporter: InMemorySpanExporter) -> None:
    with trace.get_tracer("user").start_as_current_span("poll") as ambient:
        with telemetry.process("images", "t", job_id="j", attempt=1, traceparent=TRACEPARENT):
            pass
        assert trace.get_current_span() is ambient
    processed, poll = exporter.get_finished_spans()
    assert processed.parent is not None
    assert poll.context is not None
    assert processed.parent.span_id == poll.context.span_id
    assert [f"{link.context.trace_id:032x}" for link in processed.links] == [TRACEPARENT.split("-")[1]]


@pytest.mark.parametrize("bad", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", TRACEPARENT + "\n", "é"])
def test_a_traceparent_that_is_none_starts_a_trace(exporter: InMemorySpanExporter, bad: str) -> None:
    with telemetry.process("images", "t", job_id="j", attempt=1, traceparent=bad):
        pass
    span = only_span(exporter)
    assert span.parent is None
    assert not span.links


def test_inject_gives_the_users_span_without_a_tracer_of_ours() -> None:
    parent = trace.SpanContext(0xAB, 0xCD, is_remote=False, trace_flags=trace.TraceFlags(1))
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(parent)))
    try:
        with telemetry.send("images", "t", job_id="j"):
            assert telemetry.inject() == f"00-{0xAB:032x}-{0xCD:016x}-01"
    finally:
        context.detach(token)
    assert telemetry.inject() == ""


def test_a_job_that_nobody_traces_passes_its_context_on() -> None:
    with telemetry.process("images", "t", job_id="j", attempt=1, traceparent=TRACEPARENT):
        assert telemetry.inject() == TRACEPARENT
    assert telemetry.inject() == ""
