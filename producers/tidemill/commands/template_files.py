"""Publishes templates from the command line: those of an application, or one from a file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

import click

from tidemill.app import Tidemill
from tidemill.commands.ages import age_in
from tidemill.commands.template_text import PublishedTemplate
from tidemill.errors import InvalidInput
from tidemill.retry import Retry
from tidemill.templates.declared import TemplateOptions, declare, publishing

_DURATIONS: Final = frozenset({"timeout", "expires", "result_ttl"})
_FIELDS: Final = ("task", "defaults", *TemplateOptions.__annotations__)
_RETRY_FIELDS: Final = ("max_attempts", "backoff", "base", "factor", "cap", "jitter", "until")


def publish_file(mill: Tidemill, name: str, path: Path) -> PublishedTemplate:
    """Publishes what a file says. Raises InvalidInput that names the file."""
    try:
        found = _checked(_read(path))
        task = found.pop("task", None)
        if not isinstance(task, str):
            raise InvalidInput('it must say its task, as task = "app.resize"')
        defaults = found.pop("defaults", {})
        if not isinstance(defaults, dict):
            raise InvalidInput(f"defaults must be a table, not {defaults!r}")
        options = cast("TemplateOptions", found)
        declared = declare(mill.client, name, mill.named(task), cast("dict[str, object]", defaults), None, options)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error
    return PublishedTemplate(name, mill.client.run(publishing(mill.client, declared)))


def publish_declared(app: str) -> Sequence[PublishedTemplate]:
    """Publishes all that an application declares, MODULE:APP. Raises InvalidInput."""
    from tidemill.loading import load_app

    mill = load_app(app)
    click.get_current_context().call_on_close(mill.close)
    declared = sorted(mill.client.catalog.declared.values(), key=lambda one: one.name)
    return [PublishedTemplate(one.name, mill.client.run(publishing(mill.client, one))) for one in declared]


def _read(path: Path) -> dict[str, object]:
    data = path.read_bytes()
    try:
        found: object = json.loads(data) if path.suffix == ".json" else tomllib.loads(data.decode())
    except ValueError as error:  # UnicodeDecodeError, JSONDecodeError and TOMLDecodeError are
        raise InvalidInput(f"it can't be read: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInput("it must be a JSON object")
    return cast("dict[str, object]", found)


def _checked(found: Mapping[str, object]) -> dict[str, object]:
    if unknown := sorted(found.keys() - set(_FIELDS)):
        raise InvalidInput(f"unknown field {', '.join(unknown)}: one of {', '.join(_FIELDS)}")
    checked = {name: _duration(value) if name in _DURATIONS else value for name, value in found.items()}
    if "retry" in checked:
        checked["retry"] = _retry(checked["retry"])
    return checked


def _duration(value: object) -> object:
    """Seconds, or an age as on the command line: 15m."""
    return age_in(value) or value if isinstance(value, str) else value


def _retry(value: object) -> Retry:
    if not isinstance(value, dict):
        raise InvalidInput(f"retry must be a table, as {{ max_attempts = 5 }}, not {value!r}")
    fields = cast("dict[str, object]", value)
    if unknown := sorted(fields.keys() - set(_RETRY_FIELDS)):
        raise InvalidInput(f"unknown field {', '.join(unknown)} of retry: one of {', '.join(_RETRY_FIELDS)}")
    if "until" in fields:
        fields = {**fields, "until": _duration(fields["until"])}
    return Retry(**fields)  # type: ignore[arg-type]
