"""What tests of templates share: a template on a server, and how a job of it is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill import Job, Tidemill
from tidemill.dead_letters.hands import hand
from tidemill.templates.reference import Reference, read
from tidemill.templates.template import Template

STOCK = "stock-preheat"


def warm(sku: str, depth: int = 1, region: str = "eu", tags: tuple[str, ...] = ()) -> str:
    return f"{sku} {depth} {region}"


def preheat(mill: Tidemill, **defaults: object) -> Template:
    """A template with these defaults, of a task that is registered if it was not."""
    task = mill.task(name="preheat", queue="warm", priority="high")(warm)
    return mill.template(STOCK, task=task, defaults=defaults)


def reference(job: Job[Any]) -> Reference:
    return read(job.refresh().record.options)[0]


def number(job: Job[Any]) -> int:
    return reference(job).number


def sent(mill: Tidemill, job: Job[Any]) -> Mapping[str, object]:
    """What travels with a job."""
    args, kwargs = mill.client.codec.decode_call(job.refresh().record.body)
    assert args == []
    return kwargs


def label(mill: Tidemill, name: str, version: int | None, weight: int = 0) -> None:
    command = mill.client.scripts.label_template(STOCK, name, version, weight, hand(None, ""))
    assert mill.client.link.run(command) == "done"


def retire(mill: Tidemill, version: int) -> None:
    assert mill.client.link.run(mill.client.scripts.retire_template(STOCK, version, 60_000, hand(None, ""))) == "done"
