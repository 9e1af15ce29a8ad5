"""Metrics of the queues and of the process, with the real OpenTelemetry SDK."""

from __future__ import annotations

import json
import re
from typing import NamedTuple, cast

import pytest
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
)

from tidemill import telemetry
from unit.collected import Metrics
from unit.interpreter import run_python


def test_waits_are_in_seconds_and_never_below_zero(measured: Metrics) -> None:
    telemetry.job_started("images", -0.5)
    telemetry.job_started("images", 0.25, lateness_s=1.5)
    latency, lateness = (measured.only(f"tidemill.job.{name}") for name in ("start_latency", "lateness"))
    assert isinstance(latency, HistogramDataPoint)
    assert isinstance(lateness, HistogramDataPoint)
    assert (latency.count, latency.min, latency.sum) == (2, 0.0, 0.25)
    assert (lateness.count, lateness.sum) == (1, 1.5)


def test_jobs_are_counted_by_queue_and_outcome(measured: Metrics) -> None:
    telemetry.jobs_settled("images", "dead", 2)
    telemetry.jobs_retried("images")
    telemetry.jobs_recovered("images", 5)
    telemetry.jobs_parked("images", "unknown_task")
    queue = {"messaging.destination.name": "images"}
    names = [f"tidemill.jobs.{name}" for name in ("settled", "retried", "recovered", "parked")]
    assert [measured.count(name) for name in names] == [2, 1, 5, 1]
    assert [measured.attributes(name) for name in names] == [
        queue | {"messaging.tidemill.outcome": "dead"},
        queue,
        queue,
        queue | {"messaging.tidemill.reason": "unknown_task"},
    ]


EVERYTHING = """
    import json
    from tidemill import telemetry as t
    samples = [t.QueueSample("images", wheel=1, ready=2, running=3, dead=4, oldest_age_s=5.5)]
    samples.append(t.QueueSample("empty", 0, 0, 0, 0))
    t.gauge_source(lambda: samples)
    t.gauge_source(lambda: 1 / 0)()  # taken away again: never asked
    t.limit_source("gradient", lambda: 17)
    t.limit_source("gradient", lambda: 1 / 0)()
    t.breaker_source(lambda: [("pay", "open"), ("mail", "half_open"), ("web", "closed")])
    t.breaker_source(lambda: 1 / 0)()
    t.template_cache_source(lambda: t.CacheFigures(70, 30, 5, 12, 4096))
    t.template_cache_source(lambda: 1 / 0)()

    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    reader = InMemoryMetricReader()
    with t.send("images", "t"):
        assert t.inject() == ""
    metrics.set_meter_provider(MeterProvider([reader]))
    trace.set_tracer_provider(TracerProvider())

    with t.send("images", "t", job_id="JOB-ID"):
        traceparent = t.inject()
    assert traceparent
    ids = {"job_id": "JOB-ID", "worker_id": "WORKER-ID", "traceparent": traceparent}
    with t.process("images", "t", attempt=1, **ids) as attempt:
        attempt.outcome("dead", "E")
    with t.settle("images", 1, "dead", job_id="JOB-ID"):
        pass
    t.received("images", 1)
    t.job_started("images", 0.1, 0.1)
    t.jobs_settled("images", "dead")
    t.jobs_retried("images")
    t.jobs_recovered("images")
    t.jobs_parked("images", "no_permit")
    t.job_refused("images", "mac")
    t.jobs_pressed("images", "jobs", 1)
    t.jobs_turned_away("images", "bytes", 1)
    t.jobs_shed("images", "age", 1)
    t.repaired("misplaced")
    t.breaker_called("pay", "slow")
    t.breaker_refused("pay")
    t.template_loaded("unknown", 0.25)
    scopes = [s for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics]
    print(json.dumps({
        m.name: [m.unit, [[dict(p.attributes), getattr(p, "value", None)] for p in m.data.data_points]]
        for s in scopes if s.scope.name == "tidemill" for m in s.metrics
    }))
"""

Point = tuple[dict[str, str], float | None]


class Measured(NamedTuple):
    unit: str
    points: list[Point]


Everything = dict[str, Measured]


@pytest.fixture(scope="module")
def everything() -> Everything:
    """Each metric's unit and points after one use of each call, in a process that sets its providers late."""
    found: dict[str, list[object]] = json.loads(run_python(EVERYTHING))
    return {name: Measured(cast("str", unit), cast("list[Point]", points)) for name, (unit, points) in found.items()}


def test_the_table_names_every_metric_with_its_unit(everything: Everything) -> None:
    rows = re.findall(r"^((?:messaging|tidemill)\.\S+) +(\S+) +\S", telemetry.__doc__ or "", re.MULTILINE)
    assert {name: metric.unit for name, metric in everything.items()} == dict(rows)


def test_no_metric_has_an_id(everything: Everything) -> None:
    assert "JOB-ID" not in json.dumps(everything)
    assert "WORKER-ID" not in json.dumps(everything)


def test_a_provider_that_is_set_late_sees_what_comes_after(everything: Everything) -> None:
    assert [value for _, value in everything["messaging.client.sent.messages"].points] == [1]


def test_the_cache_of_templates_shows_hits_and_misses_and_what_it_holds(everything: Everything) -> None:
    cache = "tidemill.template.cache"
    by_outcome = {
        labels["messaging.tidemill.outcome"]: value for labels, value in everything[f"{cache}.requests"].points
    }
    assert by_outcome == {"hit": 70, "miss": 30}
    held = {
        name: [value for _, value in everything[f"{cache}.{name}"].points] for name in ("evictions", "entries", "bytes")
    }
    assert held == {"evictions": [5], "entries": [12], "bytes": [4096]}
    assert everything["tidemill.template.load.duration"].points[0][0] == {"messaging.tidemill.outcome": "unknown"}


def test_queue_gauges_show_each_place_and_the_oldest_age(everything: Everything) -> None:
    depths = {
        labels["messaging.tidemill.place"]: value
        for labels, value in everything["tidemill.queue.depth"].points
        if labels["messaging.destination.name"] == "images"
    }
    assert depths == {"wheel": 1, "ready": 2, "running": 3, "dead": 4}
    ((labels, age_s),) = everything["tidemill.queue.oldest_age"].points
    assert (labels, age_s) == ({"messaging.destination.name": "images"}, 5.5)


def test_breakers_show_their_state_and_what_came_of_calls(everything: Everything) -> None:
    found = {
        labels["messaging.tidemill.breaker"]: level for labels, level in everything["tidemill.breaker.state"].points
    }
    assert found == {"pay": 2, "mail": 1, "web": 0}
    pay = {"messaging.tidemill.breaker": "pay"}
    ((labels, calls),) = everything["tidemill.breaker.calls"].points
    assert (labels, calls) == (pay | {"messaging.tidemill.outcome": "slow"}, 1)
    ((labels, refused),) = everything["tidemill.breaker.refused"].points
    assert (labels, refused) == (pay, 1)


def test_the_gauge_of_a_limit_that_adapts_names_its_algorithm(everything: Everything) -> None:
    ((labels, limit),) = everything["tidemill.worker.concurrency_limit"].points
    assert (labels, limit) == ({"messaging.tidemill.limiter": "gradient"}, 17)
