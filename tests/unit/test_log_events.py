"""The events that are logged, and their table."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tidemill.telemetry import Event, event

PACKAGES = ("producers", "consumers", "scheduler")
ROOT = Path(__file__).parents[2]


def test_an_event_logs_its_message_and_fields_for_any_handler(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tidemill"):
        event(Event.JOB_RETRIED, job_id="j1", task="app.thumb", attempt=2, delay_ms=1200, error=None)
    (record,) = caplog.records
    assert (record.name, record.levelno, record.funcName) == (
        "tidemill.job",
        logging.INFO,
        "test_an_event_logs_its_message_and_fields_for_any_handler",
    )
    assert record.getMessage() == "job will be retried job=j1 task=app.thumb attempt=2 delay=1.2s"


def test_an_event_below_the_level_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tidemill"):
        event(Event.JOB_SUCCEEDED, job_id="j1")
    assert not caplog.records


def test_event_names_are_unique_and_dotted() -> None:
    names = [what.event_name for what in Event]
    assert len(set(names)) == len(names) == len(Event.__members__)
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", name) for name in names)


def logged_events() -> Iterator[tuple[str, ast.Call]]:
    """Every `event(Event.X, …)` in the sources."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(args=[ast.Attribute(value=(ast.Name(id="Event") | ast.Attribute(attr="Event")))]):
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", node
                    case _:
                        pass


def test_events_are_logged_only_with_the_fields_of_their_table() -> None:
    wrong: list[str] = []
    for place, call in logged_events():
        what = Event[cast("ast.Attribute", call.args[0]).attr]
        given = {keyword.arg or "**" for keyword in call.keywords} - {"exc", "traceparent"}
        wrong += [f"{place}: {what.name} has no field {name}" for name in sorted(given - what.fields)]
    assert not wrong
