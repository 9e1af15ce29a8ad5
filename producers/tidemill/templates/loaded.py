"""A version as producers hold it: everything that is the same for all of its jobs is made once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from tidemill.errors import CorruptRecord, InvalidArguments, TidemillError
from tidemill.options import Options
from tidemill.templates.content import Content
from tidemill.templates.reference import Reference
from tidemill.wire.templating import Version

if TYPE_CHECKING:
    from tidemill.task import Definition
    from tidemill.wire.envelope import Codec


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
# No argument has this name: what needs it is looked at by the task itself.
_NEVER = frozenset({""})


class Checks(Protocol):
    """A schema, or a form of one."""

    def check(self, sent: Mapping[str, object], given: Collection[str] = ()) -> None: ...


@dataclass(frozen=True, slots=True)
class Names:
    """Which arguments a task takes by name: `known`, None: any; and which of them the defaults do not give."""

    definition: Definition
    known: frozenset[str] | None
    missing: frozenset[str]

    def fit(self, sent: Mapping[str, object]) -> bool:
        """Whether the task can be called so: found out without a call, which takes several times as long."""
        return (self.known is None or self.known.issuperset(sent)) and self.missing.issubset(sent)


def names_of(definition: Definition, defaults: Mapping[str, object]) -> Names:
    """Raises nothing: what the defaults lack or have too much, no call fits."""
    parameters = inspect.signature(definition.function).parameters.values()
    by_name = [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    needed = [one.name for one in parameters if one.default is one.empty and one.kind not in _VARIABLE]
    is_open = any(one.kind is one.VAR_KEYWORD for one in parameters)
    known = None if is_open else frozenset(by_name)
    impossible = known is not None and not known.issuperset(defaults)
    positional = any(one.kind is one.POSITIONAL_ONLY for one in parameters)
    if impossible or positional:
        return Names(definition, frozenset(), _NEVER)
    return Names(definition, known, frozenset(needed).difference(defaults))


class Loaded:
    """One version of one template.

    defaults: by name, decoded. They are shared by all jobs: nobody may change them.
    options: queue, priority, expires and result_ttl as the version has them, for a job that says nothing itself.
    """

    def __init__(
        self, name: str, version: Version, content: Content, codec: Codec, schema: Checks | None = None
    ) -> None:
        self.name = name
        self.version = version
        self.content = content
        self._codec = codec
        self._schema = schema
        self._names: Names | None = None
        self.defaults: Mapping[str, object] = _defaults(name, version, content, codec)
        self._encoded = {key: codec.encode_result(value) for key, value in self.defaults.items()}
        self.options = Options(
            queue=content.queue,
            priority=content.priority,
            expires_ms=content.expires_ms,
            result_ttl_ms=content.result_ttl_ms,
        )

    def __repr__(self) -> str:
        return f"<version {self.version.number} of template {self.name}>"

    def reference(self, *, is_late: bool) -> Reference:
        return Reference(self.name, self.version.number, self.version.digest, is_late)

    @cached_property
    def _checks(self) -> Checks | None:
        if self._schema is not None or self.content.schema is None:
            return self._schema
        from tidemill.templates.schema import compile_form

        return compile_form(self.content.schema)

    def check(self, sent: Mapping[str, object], definition: Definition | None) -> None:
        """By the version's schema, else by the task's signature if this process knows it. Raises InvalidArguments."""
        try:
            if self._checks is not None:
                self._checks.check(sent, self.defaults)
            elif definition is not None and not self._names_of(definition).fit(sent):
                definition.check(**{**self.defaults, **sent})
        except (InvalidArguments, TypeError) as error:
            raise InvalidArguments(f"template {self.name!r}, version {self.version.number}: {error}") from None

    def _names_of(self, definition: Definition) -> Names:
        if self._names is None or self._names.definition is not definition:
            self._names = names_of(definition, self.defaults)
        return self._names

    def difference(self, sent: Mapping[str, object]) -> Mapping[str, object]:
        """What of the arguments is not as the defaults have it. Values are equal when their bytes are: 1, 1.0 and True
        are three values."""
        if self._encoded.keys().isdisjoint(sent):
            return sent
        return {key: value for key, value in sent.items() if not _is_as(self._encoded.get(key), value, self._encode)}

    def _encode(self, value: object) -> bytes | None:
        try:
            return self._codec.encode_result(value)
        except TidemillError:
            return None  # whoever encodes the whole call says what is wrong, and where


def _is_as(default: bytes | None, value: object, encode: Callable[[object], bytes | None]) -> bool:
    return default is not None and encode(value) == default


def _defaults(name: str, version: Version, content: Content, codec: Codec) -> dict[str, object]:
    try:
        args, defaults = codec.decode_call(content.defaults)
    except CorruptRecord as error:
        raise CorruptRecord(f"the defaults of template {name!r}, version {version.number}: {error}") from error
    if args:
        raise CorruptRecord(f"the defaults of template {name!r}, version {version.number}, are not by name")
    return defaults
