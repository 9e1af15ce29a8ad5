"""What code declares: the content of a version, before and after the server has given it a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, cast

from tidemill import telemetry, validation
from tidemill.errors import InvalidArguments, InvalidInput, TidemillError
from tidemill.options import Choices, Duration, Priority
from tidemill.retry import Retry
from tidemill.telemetry import Event
from tidemill.templates.content import Content, digest_of, encode_defaults
from tidemill.wire.signing import Signable
from tidemill.wire.templating import Published, Version

if TYPE_CHECKING:
    from tidemill.client import Client, Operation
    from tidemill.task import NamedTask, Task
    from tidemill.templates.schema import Schema

Arguments = dict[str, Any]
Upcaster = Callable[[Arguments], Arguments]
"""Takes the arguments of one version, by name, and gives those of the next."""


class TemplateOptions(TypedDict, total=False):
    """The options of a template's jobs, as those of `using`. Those that are not given are the task's."""

    queue: str
    priority: Priority
    expires: Duration
    result_ttl: Duration
    retry: Retry
    timeout: Duration
    critical: bool


@dataclass(slots=True)
class Declared:
    """A version that code declares. `version`: None until this process has published it."""

    name: str
    content: Content
    packed: bytes
    digest: bytes
    schema: Schema | None
    version: Version | None = None


def declare(
    client: Client,
    name: str,
    task: Task[..., Any] | NamedTask[Any],
    defaults: Mapping[str, object],
    schema: type | None,
    options: TemplateOptions,
) -> Declared:
    """Checks what `Tidemill.template` was given. Raises InvalidInput."""
    if unknown := options.keys() - TemplateOptions.__annotations__.keys():
        known = ", ".join(TemplateOptions.__annotations__)
        raise InvalidInput(f"unknown option {', '.join(sorted(unknown))} of a template: one of {known}")
    its = task.options.using(cast(Choices, options))
    if its.tenant or its.unique or its.job_id or its.delay_ms or its.due_ms:
        raise InvalidInput("a template has no tenant, unique, job_id or delay: give each job its own, by using(...)")
    described = None if schema is None else _described(schema, client)
    found = Content(
        task=task.name,
        defaults=encode_defaults(client.codec, _checked_names(defaults)),
        queue=its.queue,
        priority=its.priority,
        expires_ms=its.expires_ms,
        result_ttl_ms=its.result_ttl_ms,
        carried=its.carried,
        schema=None if described is None else described.form,
    )
    _check_defaults(name, task, defaults, described)
    packed = found.pack()
    return Declared(name, found, packed, digest_of(packed), described)


def publishing(client: Client, declared: Declared) -> Operation[Published]:
    """Sends it. The same content has the number that it had before."""
    content, data = declared.content, declared.packed
    if client.signing is not None:
        data = client.signing.sign(signable(declared.name, content.task), data)
    try:
        answer: Published = yield client.scripts.publish_template(declared.name, content.task, declared.digest, data)
    except TidemillError as error:
        error.may_be_applied = False  # of the enqueue that it may be done for: no job was sent
        raise
    if answer.is_new:
        telemetry.event(
            Event.TEMPLATE_PUBLISHED, template=declared.name, version=answer.version.number, bytes=len(data)
        )
    return answer


def signable(name: str, task: str) -> Signable:
    """What the signature of a template's content binds. No job has an empty queue, so it is none of a job."""
    return Signable("", task, f"template:{name}", b"")


def _described(schema: type, client: Client) -> Schema:
    from tidemill.templates.schema import Schema

    return Schema(schema, client.codec)


def _checked_names(defaults: Mapping[str, object]) -> Mapping[str, object]:
    for name in defaults:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise InvalidInput(f"defaults are arguments by name, and {name!r} is none")
    return defaults


def _check_defaults(
    name: str, task: Task[..., Any] | NamedTask[Any], defaults: Mapping[str, object], schema: Schema | None
) -> None:
    from tidemill.task import Task

    try:
        if schema is not None:
            schema.check_defaults(defaults)
        elif isinstance(task, Task):
            _check_against(task.definition.function, defaults)
    except InvalidArguments as error:
        raise InvalidArguments(f"the defaults of template {name!r}: {error}") from None


def _check_against(function: Callable[..., object], defaults: Mapping[str, object]) -> None:
    import inspect

    try:
        inspect.signature(function).bind_partial(**defaults)
    except TypeError as error:
        raise InvalidArguments(str(error)) from None


def checked_step(step: object) -> int:
    """The version whose arguments an upcaster takes. Raises InvalidInput."""
    return validation.whole("the version of an upcaster", step, 1, 2**53)
