"""A version of a template as a worker holds it: all that its jobs have in common, worked out once.

What is left to do for a job is `bind`: a copy of the defaults, with what was sent put in. It is called where the job is
called, since upcasters are the application's code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from tidemill.errors import InvalidArguments
from tidemill.task import Definition
from tidemill_consumers.templates.copying import copier
from tidemill_consumers.terms import Terms

if TYPE_CHECKING:
    from tidemill.templates.schema import Checker

Keywords = dict[str, object]
Upcaster = Callable[[Keywords], Keywords]
Bind = Callable[[Keywords], Keywords]

# Of a version's digest, as many bytes as a job's reference has.
REFERENCE_DIGEST_BYTES: Final = 8


class Key(NamedTuple):
    """What a version is held under."""

    name: str
    number: int


class Mismatch(Exception):
    """What was sent for another version does not fit the one that runs. Its text has the path."""


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """digest: its first 8 bytes. bind: turns what was sent into all arguments. bind_late: the same for what was written
    for another version; raises Mismatch. size_bytes: what it takes in memory."""

    key: Key
    digest: bytes
    definition: Definition
    terms: Terms
    bind: Bind
    bind_late: Bind
    size_bytes: int


def make_bind(defaults: Mapping[str, object], steps: Sequence[Upcaster]) -> Bind:
    """steps: upcasters from this version on, in their order."""
    merge = _merger(dict(defaults))
    if not steps:
        return merge

    def bind(sent: Keywords) -> Keywords:
        arguments = merge(sent)
        for step in steps:
            arguments = _checked(step, step(arguments))
        return arguments

    return bind


def make_bind_late(bind: Bind, checker: Checker | None, defaults: Mapping[str, object]) -> Bind:
    """Checks what was sent against the schema of the version that runs: nobody has, for this one."""
    if checker is None:
        return bind
    given = frozenset(defaults)

    def bind_late(sent: Keywords) -> Keywords:
        try:
            checker.check(sent, given)
        except InvalidArguments as error:
            raise Mismatch(str(error)) from error
        return bind(sent)

    return bind_late


def steps_from(number: int, upcasters: Mapping[int, Upcaster]) -> list[Upcaster]:
    """Those that turn arguments of this version into what the code takes."""
    return [upcasters[step] for step in sorted(upcasters) if step >= number]


def _merger(defaults: Keywords) -> Bind:
    copiers = [(name, make) for name, value in defaults.items() if (make := copier(value)) is not None]
    if not copiers:
        return lambda sent: {**defaults, **sent}

    def merge(sent: Keywords) -> Keywords:
        arguments = {**defaults, **sent}
        for name, make in copiers:
            if name not in sent:
                arguments[name] = make()
        return arguments

    return merge


def _checked(step: Upcaster, arguments: object) -> Keywords:
    if isinstance(arguments, dict):
        return cast(Keywords, arguments)
    name = getattr(step, "__qualname__", type(step).__name__)
    raise TypeError(f"upcaster {name} must return a dict of arguments, not {type(arguments).__name__}")
