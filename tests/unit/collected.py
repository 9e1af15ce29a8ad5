"""What the real OpenTelemetry SDK has collected."""

from __future__ import annotations

from typing import cast

from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    NumberDataPoint,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

Attributes = dict[str, object]


class Metrics:
    """What a meter provider has collected under Tidemill's name."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader

    def points(self, name: str) -> list[NumberDataPoint | HistogramDataPoint]:
        found = self._reader.get_metrics_data()
        return [
            cast("NumberDataPoint | HistogramDataPoint", point)
            for resource in (found.resource_metrics if found else ())
            for scope in resource.scope_metrics
            if scope.scope.name == "tidemill"
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def only(self, name: str) -> NumberDataPoint | HistogramDataPoint:
        (point,) = self.points(name)
        return point

    def count(self, name: str) -> int | float:
        point = self.only(name)
        return point.count if isinstance(point, HistogramDataPoint) else point.value

    def attributes(self, name: str) -> Attributes:
        return dict(self.only(name).attributes or {})


def only_span(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def attributes_of(span: ReadableSpan) -> Attributes:
    return dict(span.attributes or {})
