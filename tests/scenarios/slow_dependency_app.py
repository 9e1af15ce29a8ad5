"""The job of `slow_dependency.py`, which calls the dependency of its queue. A worker notes its limit in the history."""

from __future__ import annotations

import os
import socket
import threading
from typing import Final

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, InMemoryMetricReader

from chaos import application as chaos
from chaos.application import Failing, make_effect, mill, recorded, recorder
from tidemill import Retry, current_job

# A call that takes longer has failed, as it does for those who wait for it.
CALL_SECONDS: Final = 5.0
LIMIT_METRIC: Final = "tidemill.worker.concurrency_limit"
_LOOK_SECONDS: Final = 0.1

_connections = threading.local()


@mill.task(retry=Retry(max_attempts=chaos.FAILING_ATTEMPTS, backoff="constant", base=chaos.RETRY_SECONDS, jitter=0))
def call_dependency() -> None:
    with recorded():
        connection = _connection()
        try:
            connection.sendall(b"work\n")
            answer = connection.recv(16)
        except OSError as error:
            del _connections.one
            connection.close()
            raise Failing(f"the dependency did not answer in {CALL_SECONDS:g} s") from error
        assert answer == b"done\n"
        make_effect()


def _connection() -> socket.socket:
    """This thread's."""
    if not hasattr(_connections, "one"):
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(CALL_SECONDS)
        one.connect(str(chaos.directory() / current_job().queue))
        _connections.one = one
    found: socket.socket = _connections.one
    return found


def _note_limit(reader: InMemoryMetricReader) -> None:
    pause, last = threading.Event(), None
    while True:
        data = reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                if metric.name == LIMIT_METRIC and isinstance(metric.data, Gauge):
                    limit = int(metric.data.data_points[0].value)
                    if limit != last:
                        recorder().write("limit", limit=limit)
                    last = limit
        pause.wait(_LOOK_SECONDS)


def _watch() -> None:
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    threading.Thread(target=_note_limit, args=(reader,), name="limit", daemon=True).start()


if chaos.DIRECTORY_VARIABLE in os.environ:  # in a worker, and not in the scenario itself
    _watch()
