"""Templates and their versions as they are shown: plain values, whatever the code that published them has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from tidemill.errors import CorruptRecord
from tidemill.retry import WIRE_KEYS
from tidemill.templates.content import Content, digest_of, read
from tidemill.wire import envelope
from tidemill.wire.bounds import MAX_PAYLOAD_BYTES, is_list, is_text_map
from tidemill.wire.carried import CarriedTypes
from tidemill.wire.decoding import Decoder
from tidemill.wire.forms import CALL
from tidemill.wire.scripts import Pointers, VersionInfo
from tidemill.wire.signing import payload_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TemplateLabel:
    """A label, the number of its version, and its weight: its share of the jobs among those of all labels."""

    name: str
    version: int
    weight: int


@dataclass(frozen=True, slots=True)
class TemplateInfo:
    """A template. newest: the number of its newest version; None: all are retired."""

    name: str
    task: str
    newest: int | None
    labels: tuple[TemplateLabel, ...]


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """A version. digest: of its content, in hex. published, retired: by the server's clock; None: it is not retired.

    size: of its content as it was published, in bytes. labels: their names.
    """

    name: str
    number: int
    digest: str
    published: datetime
    retired: datetime | None
    size: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TemplateContent:
    """What a version says.

    defaults: by name; an instance of a dataclass is shown as a map of its fields, with its name as "dataclass".
    options: queue, priority, expires, result_ttl, timeout (seconds), critical and retry (a map), where they are set.
    schema: its form, as it is published; None: it has none.
    """

    version: TemplateVersion
    task: str
    defaults: Mapping[str, object]
    options: Mapping[str, object]
    schema: object | None


def template_info(pointers: Pointers) -> TemplateInfo:
    labels = tuple(TemplateLabel(name, version.number, weight) for name, version, weight in pointers.labels)
    return TemplateInfo(pointers.name, pointers.task, pointers.newest.number if pointers.newest else None, labels)


def template_version(name: str, info: VersionInfo) -> TemplateVersion:
    return TemplateVersion(
        name,
        info.version.number,
        info.version.digest.hex(),
        _time(info.published_ms),
        _time(info.retired_ms) if info.retired_ms else None,
        info.bytes,
        info.labels,
    )


def template_content(version: TemplateVersion, data: bytes) -> TemplateContent:
    """Of a content as it was published, signed or not: to be shown, never to be run. Raises CorruptRecord."""
    packed = payload_of(data)
    if digest_of(packed).hex() != version.digest:
        raise CorruptRecord(
            f"the content of version {version.number} of template {version.name!r} is not what was published: its "
            f"digest is not {version.digest}; publish it again from its code"
        )
    content = read(version.name, packed)
    return TemplateContent(version, content.task, _defaults(content), _options(content), content.schema)


class _ShownTypes(CarriedTypes):
    """Shows instances of dataclasses that this process need not have."""

    def build(self, parts: list[object]) -> object:
        match parts:
            case [str(name), values] if is_text_map(values):
                return {"dataclass": name, **values}
            case _:
                raise CorruptRecord("a dataclass that is not a name and a map of its fields")


def _defaults(content: Content) -> Mapping[str, object]:
    call = Decoder(_ShownTypes()).decode(CALL, content.defaults, MAX_PAYLOAD_BYTES)
    if is_list(call) and len(call) == 2 and is_text_map(call[1]):
        return call[1]
    raise CorruptRecord("defaults can't be read: they are not arguments by name")


def _options(content: Content) -> Mapping[str, object]:
    carried = cast("dict[str, object]", envelope.unpack(content.carried)) if content.carried else {}
    retry = {key: value for key, value in carried.items() if key in WIRE_KEYS}
    policy = retry.pop("retry", None)
    found = {
        "queue": content.queue,
        "priority": content.priority,
        "expires": _seconds(content.expires_ms),
        "result_ttl": _seconds(content.result_ttl_ms),
        "timeout": _seconds(carried.get("timeout_ms")),
        "critical": carried.get("critical"),
        "retry": {**cast("dict[str, object]", policy), **_retry(retry)} if policy else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _retry(extra: Mapping[str, object]) -> dict[str, object]:
    """What travels beside a policy, as `Retry` names it."""
    found: dict[str, object] = {}
    if "retry_backoff" in extra:
        found["backoff"] = extra["retry_backoff"]
    if "retry_for_ms" in extra:
        found["until"] = _seconds(extra["retry_for_ms"])
    if isinstance(until_ms := extra.get("retry_until_ms"), int):
        found["until"] = _time(until_ms)
    return found


def _seconds(milliseconds: object) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, int) else None


def _time(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
