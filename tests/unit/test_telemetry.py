"""Spans, and the metrics of sending, processing and settling, with the real OpenTelemetry SDK."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tidemill import telemetry
from tidemill.telemetry import Server
from tidemill.telemetry.metrics import MESSAGING_BUCKETS_S
from unit.collected import Metrics, attributes_of, only_span

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


# Sending


def test_a_single_send_has_every_attribute_of_the_table(exporter: InMemorySpanExporter) -> None:
    with telemetry.send("images", "app.thumb", job_id="j1", body_bytes=42, server=Server("db", 6379)):
        pass
    span = only_span(exporter)
    assert (span.name, span.kind, span.status.status_code) == (
        "send images",
        SpanKind.PRODUCER,
        StatusCode.UNSET,
    )
    assert attributes_of(span) == {
        "messaging.system": "tidemill",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "images",
        "messaging.message.id": "j1",
        "messaging.message.body.size": 42,
        "messaging.tidemill.task": "app.thumb",
        "server.address": "db",
        "server.port": 6379,
    }


def test_a_batch_has_a_message_count_and_no_message_id(exporter: InMemorySpanExporter) -> None:
    with telemetry.send("images", job_id="j1", count=3, body_bytes=42):
        pass
    assert attributes_of(only_span(exporter)) == {
        "messaging.system": "tidemill",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "images",
        "messaging.batch.message_count": 3,
    }


def test_a_send_counts_its_messages_and_its_time(measured: Metrics) -> None:
    with telemetry.send("images", "app.thumb", count=3, server=Server("/run/valkey.sock")):
        pass
    labels = {
        "messaging.system": "tidemill",
        "messaging.operation.name": "send",
        "messaging.destination.name": "images",
        "server.address": "/run/valkey.sock",
    }
    assert measured.count("messaging.client.sent.messages") == 3
    assert measured.attributes("messaging.client.sent.messages") == labels
    assert measured.count("messaging.client.operation.duration") == 1
    assert measured.attributes("messaging.client.operation.duration") == labels | {"messaging.operation.type": "send"}


def test_a_failed_send_is_counted_with_its_error(exporter: InMemorySpanExporter, measured: Metrics) -> None:
    with pytest.raises(ConnectionError), telemetry.send("images", "app.thumb", job_id="j1"):
        raise ConnectionError("secret argument")
    span = only_span(exporter)
    assert span.status.status_code is StatusCode.ERROR
    assert attributes_of(span)["error.type"] == "ConnectionError"
    assert "secret argument" not in span.to_json()
    assert measured.attributes("messaging.client.sent.messages")["error.type"] == "ConnectionError"
    assert measured.attributes("messaging.client.operation.duration")["error.type"] == "ConnectionError"


def test_an_error_of_a_library_has_its_module_in_its_type(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(json.JSONDecodeError), telemetry.send("images"):
        json.loads("{")
    assert attributes_of(only_span(exporter))["error.type"] == "json.decoder.JSONDecodeError"


# Processing


def test_a_processed_job_has_every_attribute_of_the_table(exporter: InMemorySpanExporter, measured: Metrics) -> None:
    with telemetry.process(
        "images", "app.thumb", job_id="j1", attempt=2, worker_id="w1", server=Server("db", 1)
    ) as attempt:
        attempt.outcome("succeeded")
    span = only_span(exporter)
    assert (span.name, span.kind, span.status.status_code) == (
        "process images",
        SpanKind.CONSUMER,
        StatusCode.UNSET,
    )
    shared = {
        "messaging.system": "tidemill",
        "messaging.operation.name": "process",
        "messaging.destination.name": "images",
        "messaging.tidemill.task": "app.thumb",
        "messaging.tidemill.outcome": "succeeded",
        "server.address": "db",
        "server.port": 1,
    }
    assert attributes_of(span) == shared | {
        "messaging.operation.type": "process",
        "messaging.message.id": "j1",
        "messaging.client.id": "w1",
        "messaging.tidemill.attempt": 2,
    }
    assert measured.attributes("messaging.process.duration") == shared | {"messaging.consumer.group.name": "tidemill"}
    point = measured.only("messaging.process.duration")
    assert isinstance(point, HistogramDataPoint)
    assert tuple(point.explicit_bounds) == MESSAGING_BUCKETS_S
    assert not measured.points("messaging.client.operation.duration")


@pytest.mark.parametrize(
    ("state", "given", "seen"),
    [
        ("retried", "app.Flaky", "app.Flaky"),
        ("dead", None, "_OTHER"),
        ("cancelled", None, None),
        ("parked", None, None),
    ],
)
def test_an_attempt_has_an_error_type_if_and_only_if_it_failed(
    exporter: InMemorySpanExporter, measured: Metrics, state: str, given: str | None, seen: str | None
) -> None:
    with telemetry.process("images", "t", job_id="j", attempt=1) as attempt:
        attempt.outcome(state, given)
    span = only_span(exporter)
    assert attributes_of(span).get("error.type") == seen
    assert span.status.status_code is (StatusCode.ERROR if seen else StatusCode.UNSET)
    assert measured.attributes("messaging.process.duration").get("error.type") == seen
    assert measured.attributes("messaging.process.duration")["messaging.tidemill.outcome"] == state


def test_an_exception_that_nobody_told_of_is_the_error(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ZeroDivisionError), telemetry.process("images", "t", job_id="j", attempt=1):
        raise ZeroDivisionError
    found = attributes_of(only_span(exporter))
    assert found["error.type"] == "ZeroDivisionError"
    assert "messaging.tidemill.outcome" not in found
    assert telemetry.current.get() is None


def test_a_users_span_nests_in_the_job_on_a_thread(exporter: InMemorySpanExporter) -> None:
    def job() -> None:
        with (
            telemetry.process("images", "t", job_id="j", attempt=1),
            trace.get_tracer("user").start_as_current_span("inner"),
        ):
            pass

    thread = threading.Thread(target=job)
    thread.start()
    thread.join(10)
    inner, processed = exporter.get_finished_spans()
    assert inner.parent is not None
    assert inner.parent == processed.context


async def test_jobs_of_one_loop_keep_their_spans_and_labels_apart(exporter: InMemorySpanExporter) -> None:
    both = asyncio.Barrier(2)

    async def job(job_id: str) -> str:
        with telemetry.process("images", "t", job_id=job_id, attempt=1):
            await both.wait()
            with trace.get_tracer("user").start_as_current_span(job_id):
                await both.wait()
            labels = telemetry.current.get()
            assert labels is not None
            return labels.job_id

    assert list(await asyncio.gather(job("a"), job("b"))) == ["a", "b"]
    spans = exporter.get_finished_spans()
    inner = {span.name: span.parent for span in spans if span.kind is SpanKind.INTERNAL}
    outer = {
        attributes_of(span)["messaging.message.id"]: span.context for span in spans if span.kind is SpanKind.CONSUMER
    }
    assert inner == outer
    assert len(inner) == 2


# Receiving and settling


def test_a_delivery_is_counted_with_the_consumer_group(measured: Metrics) -> None:
    telemetry.received("images", 4)
    assert measured.count("messaging.client.consumed.messages") == 4
    assert measured.attributes("messaging.client.consumed.messages") == {
        "messaging.system": "tidemill",
        "messaging.operation.name": "receive",
        "messaging.destination.name": "images",
        "messaging.consumer.group.name": "tidemill",
    }


def test_a_settled_batch_has_every_attribute_of_the_table(exporter: InMemorySpanExporter, measured: Metrics) -> None:
    with telemetry.settle("images", 3, "succeeded"):
        pass
    shared = {
        "messaging.system": "tidemill",
        "messaging.operation.name": "settle",
        "messaging.operation.type": "settle",
        "messaging.destination.name": "images",
    }
    span = only_span(exporter)
    assert (span.name, span.kind) == ("settle images", SpanKind.CLIENT)
    assert attributes_of(span) == shared | {
        "messaging.batch.message_count": 3,
        "messaging.tidemill.outcome": "succeeded",
    }
    assert measured.attributes("messaging.client.operation.duration") == shared | {
        "messaging.consumer.group.name": "tidemill"
    }
    assert not measured.points("messaging.client.sent.messages")


def test_a_single_settled_job_has_its_id_and_no_count(exporter: InMemorySpanExporter) -> None:
    with telemetry.settle("images", 1, "dead", job_id="j1"):
        pass
    found = attributes_of(only_span(exporter))
    assert found["messaging.message.id"] == "j1"
    assert "messaging.batch.message_count" not in found
