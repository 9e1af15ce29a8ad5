"""What is done to versions by hand: retired and restored, labelled. The audit has who did it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tidemill import telemetry, validation
from tidemill.errors import InvalidInput
from tidemill.options import Duration
from tidemill.telemetry import Event
from tidemill.templates import looking
from tidemill.templates.shown import TemplateInfo, TemplateVersion
from tidemill.wire.scripts import Hand, Outcome

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

# What scripts take for a number.
MAX_NUMBER: Final = 10**14
# A label of weight 1 beside one of this weight is a canary for one job in a million.
MAX_WEIGHT: Final = 1_000_000


def retire(client: Client, name: str, number: int, keep: Duration, done_by: Hand) -> Operation[TemplateVersion]:
    """Raises InvalidInput."""
    keep_ms = validation.duration_ms("keep", keep)
    _check(name, number)
    outcome: Outcome = yield client.scripts.retire_template(name, number, keep_ms, done_by)
    version = yield from looking.version(client, name, number)
    if outcome == "labelled":
        raise InvalidInput(
            f"version {number} of template {name!r} has the label {', '.join(version.labels)}: put it on another "
            "version first, or remove it"
        )
    telemetry.event(
        Event.TEMPLATE_RETIRED,
        by=done_by.by,
        why=done_by.reason or None,
        operation=done_by.operation,
        template=name,
        version=number,
        keep_s=keep_ms / 1000,
    )
    return version


def restore(client: Client, name: str, number: int, done_by: Hand) -> Operation[TemplateVersion]:
    """Raises InvalidInput."""
    _check(name, number)
    outcome: Outcome = yield client.scripts.restore_template(name, number, done_by)
    version = yield from looking.version(client, name, number)
    if outcome == "unknown":
        raise InvalidInput(f"version {number} of template {name!r} can't be restored: its content is gone")
    telemetry.event(
        Event.TEMPLATE_RESTORED,
        by=done_by.by,
        why=done_by.reason or None,
        operation=done_by.operation,
        template=name,
        version=number,
    )
    return version


def label(client: Client, name: str, label: str, number: int, weight: int, done_by: Hand) -> Operation[TemplateInfo]:
    """Raises InvalidInput."""
    _check(name, number)
    validation.label_name(label)
    validation.whole("weight", weight, 0, MAX_WEIGHT)
    done_by = done_by._replace(filter=f"{label} weight {weight}")
    outcome: Outcome = yield client.scripts.label_template(name, label, number, weight, done_by)
    info = yield from looking.template(client, name)
    if outcome == "retired":
        raise InvalidInput(f"version {number} of template {name!r} is retired: restore it first")
    if outcome == "full":
        raise InvalidInput(f"template {name!r} has {len(info.labels)} labels, and no template has more: remove one")
    if outcome == "unknown":
        raise InvalidInput(f"template {name!r} has no version {number}")
    telemetry.event(
        Event.TEMPLATE_LABELLED,
        by=done_by.by,
        why=done_by.reason or None,
        operation=done_by.operation,
        template=name,
        label=label,
        version=number,
        weight=weight,
    )
    return info


def unlabel(client: Client, name: str, label: str, done_by: Hand) -> Operation[TemplateInfo]:
    """Raises InvalidInput."""
    validation.template_name(name)
    validation.label_name(label)
    done_by = done_by._replace(filter=label)
    outcome: Outcome = yield client.scripts.label_template(name, label, None, 0, done_by)
    info = yield from looking.template(client, name)
    if outcome == "unknown":
        raise InvalidInput(f"template {name!r} has no label {label!r}")
    telemetry.event(
        Event.TEMPLATE_UNLABELLED,
        by=done_by.by,
        why=done_by.reason or None,
        operation=done_by.operation,
        template=name,
        label=label,
    )
    return info


def _check(name: str, number: int) -> None:
    validation.template_name(name)
    validation.whole("version", number, 1, MAX_NUMBER)
