"""Log lines, exactly as they are written."""

from __future__ import annotations

import io
import json
import logging
import re
from datetime import datetime

import pytest
from opentelemetry import trace

from tidemill import logs, telemetry
from tidemill.errors import InvalidInput
from tidemill.logs import JobContext, JsonFormatter
from tidemill.telemetry import Event, event

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
# 2026-05-04T12:34:56.789Z
MOMENT_S = 1777898096.789


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every record was made at the same moment, and its traceback names no file."""
    made = logging.getLogRecordFactory()

    def at_the_moment(*args: object, **kwargs: object) -> logging.LogRecord:
        record = made(*args, **kwargs)
        record.created = MOMENT_S
        return record

    monkeypatch.setattr(logging, "_logRecordFactory", at_the_moment)


@pytest.fixture
def local_time() -> str:
    return datetime.fromtimestamp(MOMENT_S).astimezone().strftime("%H:%M:%S.789")


def log_json(level: str = "debug") -> io.StringIO:
    stream = io.StringIO()
    logs.configure("json", level, stream)
    return stream


def log_human(stream: io.StringIO) -> io.StringIO:
    logs.configure("human", "debug", stream)
    return stream


def only_line(stream: io.StringIO) -> dict[str, object]:
    (line,) = stream.getvalue().splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def test_an_event_as_json() -> None:
    stream = log_json()
    event(Event.JOB_RETRIED, attempt=2, task="app.thumb", job_id="j1", delay_ms=1200, traceparent=TRACEPARENT)
    assert stream.getvalue() == (
        '{"ts": "2026-05-04T12:34:56.789Z", "level": "info", "logger": "tidemill.job", '
        '"event": "job.retried", '
        '"message": "job will be retried", "job": "j1", "task": "app.thumb", "attempt": 2, '
        f'"trace_id": "{TRACE_ID}", "delay_ms": 1200}}\n'
    )


def test_an_event_for_eyes(local_time: str) -> None:
    stream = log_human(io.StringIO())
    event(Event.JOB_RETRIED, job_id="j1", task="app.thumb", attempt=2, delay_ms=1200)
    event(Event.WORKER_STARTED, worker="w1", queues="a b", concurrency=8)
    event(Event.JOB_FENCED, job_id="j1", worker="")
    assert stream.getvalue().splitlines() == [
        f"{local_time} INFO  job.retried  job=j1 task=app.thumb attempt=2 delay=1.2s",
        f'{local_time} INFO  worker.started  worker=w1 queues="a b" concurrency=8',
        f'{local_time} WARN  job.fenced  job=j1 worker=""',
    ]


def test_a_users_record_in_a_job_has_the_jobs_labels(local_time: str) -> None:
    user = logging.getLogger("app.images")
    as_json = log_json()
    with telemetry.process("images", "app.thumb", job_id="j1", attempt=2, traceparent=TRACEPARENT):
        user.info("resized %d", 3)
    as_text = log_human(io.StringIO())
    with telemetry.process("images", "app.thumb", job_id="j1", attempt=2):
        user.info("resized %d", 3)
    user.info("outside")
    assert only_line(as_json) == {
        "ts": "2026-05-04T12:34:56.789Z",
        "level": "info",
        "logger": "app.images",
        "message": "resized 3",
        "job": "j1",
        "task": "app.thumb",
        "attempt": 2,
        "trace_id": TRACE_ID,
    }
    assert as_text.getvalue().splitlines() == [
        f"{local_time} INFO  app.images  resized 3  job=j1 task=app.thumb attempt=2",
        f"{local_time} INFO  app.images  outside",
    ]


def test_a_record_in_a_span_has_its_ids() -> None:
    stream = log_json()
    here = trace.SpanContext(0xAB, 0xCD, is_remote=False)
    with trace.use_span(trace.NonRecordingSpan(here)):
        logging.getLogger("app").warning("look")
    line = only_line(stream)
    assert (line["trace_id"], line["span_id"]) == (f"{0xAB:032x}", f"{0xCD:016x}")


def test_an_events_own_fields_win_over_those_of_the_place() -> None:
    stream = log_json()
    with telemetry.process("images", "app.parent", job_id="parent", attempt=1):
        event(Event.JOB_CANCELLED, job_id="child", task="app.child")
    line = only_line(stream)
    assert (line["job"], line["task"], line["attempt"]) == ("child", "app.child", 1)


def raise_and_log(message: str) -> None:
    try:
        raise ValueError(message)
    except ValueError:
        logging.getLogger("app").exception("failed")


def test_a_traceback_is_one_field_of_json() -> None:
    stream = log_json()
    raise_and_log("line 1\nline 2")
    trace_text = only_line(stream)["exc"]
    assert isinstance(trace_text, str)
    assert trace_text.startswith("Traceback (most recent call last):\n")
    assert trace_text.endswith("\nValueError: line 1\nline 2")


def test_an_event_carries_an_exceptions_traceback() -> None:
    stream = log_json()
    event(Event.WORKER_FAILED, worker="w1", exc=ValueError("boom"))
    assert only_line(stream)["exc"] == "ValueError: boom"


def test_a_traceback_for_eyes_is_indented_so_that_it_forges_no_line(local_time: str) -> None:
    stream = log_human(io.StringIO())
    raise_and_log(f"oops\n{local_time} INFO  job.succeeded  job=forged\r\x1b[2K")
    first, *rest = stream.getvalue().split("\n")[:-1]
    assert first == f"{local_time} ERROR app  failed"
    assert all(line.startswith("    ") for line in rest)
    assert rest[-1] == f"    {local_time} INFO  job.succeeded  job=forged\\r\\x1b[2K"


def test_a_long_traceback_keeps_its_end() -> None:
    stream = log_json()
    raise_and_log("x" * 100_000 + "the end")
    text = only_line(stream)["exc"]
    assert isinstance(text, str)
    assert len(text) == 32_769
    assert text.endswith("the end")


def test_the_stack_is_logged_when_asked_for() -> None:
    stream = log_json()
    logging.getLogger("app").info("here", stack_info=True)
    assert "test_the_stack_is_logged_when_asked_for" in str(only_line(stream)["exc"])


FORGED = 'x\n12:34:56.789 INFO  job.succeeded  job=other\x1b[2J\x7f\x9b\u2028\u202e" task=other'


def test_values_and_messages_can_forge_no_line_for_eyes(local_time: str) -> None:
    stream = log_human(io.StringIO())
    event(Event.RECORD_CORRUPT, job_id="j1", reason=FORGED)
    logging.getLogger("app\nforged").info("%s", FORGED)
    escaped = "x\\n12:34:56.789 INFO  job.succeeded  job=other\\x1b[2J\\x7f\\x9b\\u2028\\u202e"
    assert stream.getvalue().split("\n") == [
        f'{local_time} ERROR record.corrupt  job=j1 reason="{escaped}\\" task=other"',
        f'{local_time} INFO  app\\nforged  {escaped}" task=other',
        "",
    ]


def test_values_and_messages_can_forge_no_line_of_json() -> None:
    stream = log_json()
    logging.getLogger("app").info("%s", FORGED)
    text = stream.getvalue()
    assert text.isascii()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert only_line(stream)["message"] == FORGED


def test_long_values_and_messages_are_cut() -> None:
    stream = log_json()
    event(Event.RECORD_CORRUPT, job_id="j1", reason="x" * 600)
    assert only_line(stream)["reason"] == "x" * 512 + "…(+88)"
    stream = log_json()
    logging.getLogger("app").info("y" * 9_000)
    assert only_line(stream)["message"] == "y" * 8_192 + "…(+808)"


def test_json_stays_json_when_a_number_is_not_one() -> None:
    stream = log_json()
    event(Event.CLOCK_JUMPED, by_ms=float("nan"))
    assert only_line(stream)["by_ms"] == "nan"


def test_colours_are_for_terminals_only(local_time: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    plain, colour, refused = log_human(io.StringIO()), Terminal(), Terminal()
    event(Event.JOB_FENCED)
    log_human(colour)
    event(Event.JOB_FENCED)
    monkeypatch.setenv("NO_COLOR", "1")
    log_human(refused)
    event(Event.JOB_FENCED)
    assert plain.getvalue() == refused.getvalue() == f"{local_time} WARN  job.fenced\n"
    assert colour.getvalue() == f"{local_time} \x1b[33mWARN \x1b[0m job.fenced\n"


def test_configuring_again_replaces_and_leaves_other_handlers() -> None:
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    first = log_json()
    second = log_json()
    event(Event.JOB_FENCED, job_id="j1")
    assert first.getvalue() == ""
    assert only_line(second)["event"] == "job.fenced"
    assert other in logging.getLogger().handlers


def test_records_below_the_level_are_not_written() -> None:
    stream = log_json("WARNING")
    event(Event.JOB_RETRIED, job_id="j1")
    logging.getLogger("app").info("quiet")
    event(Event.JOB_FENCED, job_id="j1")
    assert only_line(stream)["event"] == "job.fenced"


def test_logs_go_to_stderr_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("human")
    event(Event.JOB_FENCED, job_id="j1")
    written = capsys.readouterr()
    assert written.out == ""
    assert "job.fenced" in written.err


@pytest.mark.parametrize(("chosen", "level"), [("xml", "info"), ("json", "loud")])
def test_an_unknown_format_or_level_is_refused(chosen: logs.LogFormat, level: str) -> None:
    with pytest.raises(InvalidInput, match=r"log (format|level) '(xml|loud)': it must be"):
        logs.configure(chosen, level)


def test_a_handler_of_ones_own_gets_the_labels_too() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(JobContext())
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("app.own")
    logger.addHandler(handler)
    try:
        with telemetry.process("images", "t", job_id="j1", attempt=1):
            logger.error("mine")
    finally:
        logger.removeHandler(handler)
    assert only_line(stream)["job"] == "j1"


def test_a_queued_record_keeps_the_labels_of_where_it_was_made() -> None:
    record = logging.makeLogRecord({"name": "app", "msg": "later", "levelname": "INFO"})
    with telemetry.process("images", "t", job_id="made-here", attempt=1):
        assert JobContext().filter(record)
    with telemetry.process("images", "t", job_id="written-here", attempt=1):
        assert JobContext().filter(record)
        assert json.loads(JsonFormatter().format(record))["job"] == "made-here"


def test_a_traceback_that_was_rendered_before_is_used() -> None:
    record = logging.makeLogRecord({"name": "app", "msg": "x", "levelname": "INFO", "exc_text": "ValueError: old"})
    assert json.loads(JsonFormatter().format(record))["exc"] == "ValueError: old"
