"""Log output of the commands: one line a record, as JSON or for eyes; and URLs without their passwords.

`configure` is for programs. A library's user who has handlers of their own gets the same labels by adding
`JobContext()` to one of them.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import sys
from datetime import UTC, datetime
from typing import Final, Literal, TextIO
from urllib.parse import unquote

from tidemill.errors import InvalidInput
from tidemill.telemetry import Event, EventFields, current
from tidemill.telemetry.logfmt import (
    MESSAGE_CHARACTERS_MAX,
    TRACEBACK_CHARACTERS_MAX,
    FieldValue,
    cap,
    escape,
    logfmt,
)
from tidemill.telemetry.provider import current_span_context, trace_id_in

LogFormat = Literal["human", "json"]
LEVELS = ("debug", "info", "warning", "error", "critical")

_LABELS: Final = ("job", "task", "attempt", "trace_id", "span_id")
_SHORT_LEVELS = {"WARNING": "WARN", "CRITICAL": "CRIT"}
_COLOURS = {"DEBUG": "\x1b[2m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}
_PLAIN = "\x1b[0m"
_TRACE_INDENT = "    "


def configure(format: LogFormat, level: str = "info", stream: TextIO | None = None) -> None:
    """Send the records of `tidemill` and of the user's own loggers to `stream` (stderr unless given).

    Calling it again replaces what it did before; other handlers of the root logger stay.

    Args:
        format: `human` is coloured on a terminal unless NO_COLOR is set; `json` is an object a line.
        level: one of `LEVELS`, in any case.

    Raises:
        InvalidInput: an unknown format or level.
    """
    if format not in ("human", "json"):
        raise InvalidInput(f"log format {format!r}: it must be human or json")
    if level.lower() not in LEVELS:
        raise InvalidInput(f"log level {level!r}: it must be one of {', '.join(LEVELS)}")
    target = sys.stderr if stream is None else stream
    handler = _Handler(target)
    handler.setFormatter(JsonFormatter() if format == "json" else HumanFormatter(colour=_wants_colour(target)))
    handler.addFilter(JobContext())
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())


class _Handler(logging.StreamHandler[TextIO]):
    """The one that `configure` made, so that it can find it again."""


def _wants_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class JobContext(logging.Filter):
    """Gives each record the labels of the job that it was logged in, as `tidemill_labels`. All records pass.

    It belongs on a handler and not on a logger, whose filters don't see the records of the loggers below it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "tidemill_labels"):
            record.tidemill_labels = _labels_here()
        return True


def _labels_here() -> dict[str, FieldValue]:
    labels: dict[str, FieldValue] = {}
    job = current.get()
    if job is not None:
        labels = {"job": job.job_id, "task": job.task, "attempt": job.attempt}
    span = current_span_context()
    if span is not None:
        return labels | {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    if job is not None and (trace_id := trace_id_in(job.traceparent)):
        labels["trace_id"] = trace_id
    return labels


class _Formatter(logging.Formatter):
    """What both formats need of a record."""

    def event_of(self, record: logging.LogRecord) -> Event | None:
        event = getattr(record, "tidemill_event", None)
        return event if isinstance(event, Event) else None

    def fields_of(self, record: logging.LogRecord) -> dict[str, FieldValue]:
        """Labels first, in one order; an event's own go before those of the place where it was logged."""
        found: dict[str, FieldValue] = dict(getattr(record, "tidemill_labels", {}))
        if isinstance(record.args, tuple) and record.args and isinstance(record.args[0], EventFields):
            found |= record.args[0].values
        return {key: found.pop(key) for key in _LABELS if key in found} | found

    def trace_of(self, record: logging.LogRecord) -> str:
        """The traceback's text, "" without one. Its end is what is kept of a long one."""
        parts: list[str] = []
        if record.exc_info and record.exc_info[0] is not None:
            parts.append(self.formatException(record.exc_info))
        elif record.exc_text:
            parts.append(record.exc_text)
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        text = "\n".join(parts)
        return text if len(text) <= TRACEBACK_CHARACTERS_MAX else f"…{text[-TRACEBACK_CHARACTERS_MAX:]}"


class JsonFormatter(_Formatter):
    """A JSON object a line, in ASCII: ts, level, logger, event, message, labels, fields, exc."""

    def format(self, record: logging.LogRecord) -> str:
        event = self.event_of(record)
        line: dict[str, FieldValue] = {
            "ts": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if event is not None:
            line |= {"event": event.event_name, "message": event.message}
        else:
            line["message"] = cap(record.getMessage(), MESSAGE_CHARACTERS_MAX)
        line |= {key: _json_value(value) for key, value in self.fields_of(record).items()}
        if trace := self.trace_of(record):
            line["exc"] = trace
        return json.dumps(line).replace("\x7f", "\\u007f")


def _json_value(value: FieldValue) -> FieldValue:
    if isinstance(value, str):
        return cap(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class HumanFormatter(_Formatter):
    """`12:34:56.789 INFO  job.retried  job=… task=… attempt=2 delay=1.2s`, in local time, traceback below."""

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        event = self.event_of(record)
        clock = _moment(record).astimezone().isoformat(timespec="milliseconds")[11:23]
        level = f"{_SHORT_LEVELS.get(record.levelname, record.levelname):5}"
        if self._colour and record.levelname in _COLOURS:
            level = f"{_COLOURS[record.levelname]}{level}{_PLAIN}"
        if event is not None:
            text = event.event_name
        else:
            text = f"{escape(record.name)}  {escape(cap(record.getMessage(), MESSAGE_CHARACTERS_MAX))}"
        fields = logfmt(self.fields_of(record))
        lines = [f"{clock} {level} {text}{' ' if fields else ''}{fields}"]
        lines += [_TRACE_INDENT + escape(line) for line in self.trace_of(record).split("\n") if line]
        return "\n".join(lines)


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


_MASK = "***"
_QUERY_START = re.compile(r"\?(?=[\w.%-]+=)")
_HOST_OF_MANY = r"[^:/?#,\[\]]+|\[[^\]]*\]"
_HOST_AND_PORT = re.compile(r"[^:/?#]+(:\d*)?(?=[/?#]|$)|\[[^\]]*\](:\d*)?(?=[/?#]|$)")
_HOSTS_AND_PORTS = re.compile(rf"(({_HOST_OF_MANY})(:\d*)?,)*({_HOST_OF_MANY})(:\d*)?/")
_SECRET_NAME = re.compile(r"pass|pwd|secret|token|credential", re.IGNORECASE)
_USER_AND_PASSWORD = re.compile(r":[^@]*@")


def mask_url(url: str) -> str:
    """`url` with each password as `***`: before the host, in the query, and of a URL inside of the query.

    A password that was not percent-encoded (`@`, `/`, `?` or `#` in it) is masked whole: where its end is not
    clear, more is masked rather than less. It never raises: messages about bad URLs are made with it.
    """
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        scheme, rest = "", url
    start = _QUERY_START.search(rest)
    head, query = (rest[: start.start()], rest[start.end() :]) if start else (rest, "")
    hosts = _HOSTS_AND_PORTS if scheme.endswith("+sentinel") else _HOST_AND_PORT
    if "@" in query and "@" not in head and not hosts.match(head):
        head, query, start = rest, "", None
    user, at, host = head.rpartition("@")
    name, colon, _password = user.partition(":")
    masked = f"{name}{colon and ':' + _MASK}{at}{host}"
    return scheme + slashes + masked + (f"?{_masked_query(query)}" if start else "")


def _masked_query(query: str) -> str:
    return "&".join(_masked_pair(pair) for pair in query.split("&"))


def _masked_pair(pair: str) -> str:
    key, equals, value = pair.partition("=")
    if equals and (_SECRET_NAME.search(unquote(key)) or _USER_AND_PASSWORD.search(unquote(value))):
        return f"{key}={_MASK}"
    return pair
