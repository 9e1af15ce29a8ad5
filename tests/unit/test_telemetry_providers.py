"""What a provider of OpenTelemetry costs, how it is found, and what happens without one."""

from __future__ import annotations

import re
import sys
import time
import timeit

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tidemill import telemetry
from unit.collected import Metrics, only_span
from unit.interpreter import run_python


def test_without_a_provider_opentelemetry_is_not_imported() -> None:
    loaded = run_python(
        """
        import sys

        def opentelemetry():
            return {name for name in sys.modules if name.startswith("opentelemetry")}

        import redis  # imports OpenTelemetry by itself
        redis_brings = opentelemetry()
        from tidemill import telemetry as t, logs
        print(opentelemetry() - redis_brings)

        for name in opentelemetry():
            del sys.modules[name]
        logs.configure("json")
        with t.send("images", "t", job_id="j"), t.settle("images", 1, "dead"):
            t.inject()
        with t.process("images", "t", job_id="j", attempt=1) as attempt:
            attempt.outcome("dead")
            t.event(t.Event.JOB_DEAD, job_id="j")
        t.received("images", 1)
        t.job_started("images", 0.1, 0.1)
        t.jobs_settled("images", "dead")
        print(opentelemetry())
        """
    )
    assert loaded == "set()\nset()\n"


def test_a_provider_named_by_the_environment_is_loaded() -> None:
    script = """
        import os
        os.environ["OTEL_PYTHON_TRACER_PROVIDER"] = "sdk_tracer_provider"
        from tidemill import telemetry as t
        with t.send("images", "t"):
            print(t.inject())
    """
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\n", run_python(script))


def test_an_environment_that_names_no_known_provider_stops_no_job() -> None:
    script = """
        import os
        os.environ["OTEL_PYTHON_METER_PROVIDER"] = "nobody"
        from tidemill import telemetry as t
        t.received("images", 1)
        t.received("images", 1)
        print("alive")
    """
    assert run_python(script) == "alive\n"


def test_another_release_of_the_api_is_asked_by_its_public_function(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = trace.get_tracer_provider()
    monkeypatch.delattr(trace, "_TRACER_PROVIDER")
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    with telemetry.send("images", "t"):
        pass
    assert only_span(exporter).name == "send images"


def test_a_moved_meter_provider_is_found_by_its_public_function(
    measured: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = metrics.get_meter_provider()
    monkeypatch.delitem(sys.modules, "opentelemetry.metrics._internal")
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)
    telemetry.received("images", 1)
    assert measured.count("messaging.client.consumed.messages") == 1


def microseconds_of_a_job() -> float:
    def job() -> None:
        with telemetry.process("images", "t", job_id="j", attempt=1) as attempt:
            attempt.outcome("succeeded")

    return min(timeit.repeat(job, timer=time.thread_time, number=1_000, repeat=20)) * 1e6 / 1_000


def test_without_a_provider_a_job_costs_far_less_than_with_one_that_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Measured when this was written: 0.7 µs against 5.4 µs. A ratio, as coverage slows both down."""
    unobserved_us = microseconds_of_a_job()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())
    assert unobserved_us * 2 < microseconds_of_a_job()
