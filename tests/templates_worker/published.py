"""Versions of templates and jobs of them, below the handle: so a test can publish what no handle would."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from tidemill import Tidemill
from tidemill.connection import Link
from tidemill.options import Options
from tidemill.task import NamedTask
from tidemill.templates.content import Content, digest_of, encode_defaults
from tidemill.templates.declared import signable
from tidemill.templates.reference import Reference, write
from tidemill.wire.templating import Version
from tidemill_consumers.templates.building import Refused, Unknown
from tidemill_consumers.templates.version import Key, Resolved
from tidemill_consumers.templates.versions import Request, Versions
from tidemill_consumers.worker import Worker


def content_of(
    mill: Tidemill, task: str, defaults: Mapping[str, object], *, schema: object = None, carried: bytes = b""
) -> Content:
    encoded = encode_defaults(mill.client.codec, defaults)
    return Content(task=task, defaults=encoded, carried=carried, schema=schema)


def publish(mill: Tidemill, name: str, content: Content) -> Version:
    """As a handle does it: signed where the application has keys."""
    packed = content.pack()
    data = packed
    if mill.client.signing is not None:
        data = mill.client.signing.sign(signable(name, content.task), packed)
    return store(mill, name, content.task, digest_of(packed), data)


def store(mill: Tidemill, name: str, task: str, digest: bytes, data: bytes) -> Version:
    """Whatever the bytes are."""
    with opened(mill) as link:
        return link.run(mill.client.scripts.publish_template(name, task, digest, data)).version


def version_of(mill: Tidemill, name: str, task: str, **defaults: object) -> Version:
    return publish(mill, name, content_of(mill, task, defaults))


def jobs_of(
    mill: Tidemill, name: str, task: str, version: Version, *, late: bool = False, own: Options | None = None
) -> NamedTask[Any]:
    """Its `enqueue` makes jobs of this version; `own`: with options of their own."""
    options = own or Options()
    reference = Reference(name, version.number, version.digest[:8], late)
    return NamedTask(mill.client, task, replace(options, carried=write(reference, options.carried)))


@contextmanager
def opened(mill: Tidemill) -> Generator[Link]:
    link = Link(mill.client.target)
    try:
        yield link
    finally:
        link.close()


def versions_of(worker: Worker) -> Versions:
    return worker._templates._versions  # pyright: ignore[reportPrivateUsage] - what a worker holds is not public


def held(worker: Worker, name: str, *numbers: int) -> list[int]:
    """Which of these versions it holds."""
    cache = versions_of(worker).cache
    return [number for number in numbers if Key(name, number) in cache]


def waiting(worker: Worker) -> int:
    """How many runs wait for their version."""
    return worker._templates.waiting_count()  # pyright: ignore[reportPrivateUsage] - as above


class Gate:
    """Stands before each load. Closed from the beginning; `loads` are those that have come to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = Event()
        self.loads: list[Key] = []
        load = Versions.load

        def gated(versions: Versions, requests: list[Request]) -> dict[Request, Resolved | Unknown | Refused]:
            self.loads += [request.key for request in requests]
            if requests:
                assert self.open.wait(60)
            return load(versions, requests)

        monkeypatch.setattr(Versions, "load", gated)
