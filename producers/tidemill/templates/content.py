"""The content of a version: what is published once, and what all jobs of the version share.

A version is named by the digest of its content, so the same content has to be the same bytes in every process: fields
stand in one order, those that say nothing are left out, and defaults are encoded canonically.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

from tidemill import validation
from tidemill.errors import CorruptRecord, InvalidInput, PayloadTooLarge
from tidemill.wire import envelope
from tidemill.wire.canonical import canonical

if TYPE_CHECKING:
    from tidemill.wire.envelope import Codec

# Of a SHA-256: 128 bits, so that two contents of one digest can't be found by trying.
DIGEST_BYTES: Final = 16

_FIELDS: Final = frozenset(
    {"task", "defaults", "queue", "priority", "expires_ms", "result_ttl_ms", "carried", "schema"}
)


@dataclass(frozen=True, slots=True)
class Content:
    """What a version says.

    defaults: the arguments that its jobs share, as `encode_defaults` has made them.
    queue, priority, expires_ms, result_ttl_ms: for who enqueues. None: the task's.
    carried: retry, timeout_ms and critical, as `Options.carried` packs them, for who runs; b"": none.
    schema: the form of a schema, of MessagePack's own types; None: there is none.
    """

    task: str
    defaults: bytes
    queue: str | None = None
    priority: str = "normal"
    expires_ms: int | None = None
    result_ttl_ms: int | None = None
    carried: bytes = b""
    schema: object | None = None

    def pack(self) -> bytes:
        """The same content always as the same bytes. Raises PayloadTooLarge."""
        fields: dict[str, object] = {"task": self.task, "defaults": self.defaults, "priority": self.priority}
        for name in ("queue", "expires_ms", "result_ttl_ms", "schema"):
            if (value := getattr(self, name)) is not None:
                fields[name] = value
        if self.carried:
            fields["carried"] = self.carried
        try:
            return envelope.pack(fields)
        except PayloadTooLarge as error:
            raise PayloadTooLarge(f"a template with these defaults can't be published: its {error}") from None


def encode_defaults(codec: Codec, defaults: Mapping[str, object]) -> bytes:
    """Defaults as a job's arguments, by name, that are the same bytes in every process.

    Raises UnserializableValue with the path of the value, and PayloadTooLarge.
    """
    return canonical(codec.encode_call((), dict(sorted(defaults.items()))))


def read(name: str, data: bytes) -> Content:
    """What `pack` packed. Raises CorruptRecord with what is wrong; `name` is that of the template."""
    try:
        found = envelope.unpack(data)
        if not isinstance(found, dict):
            raise CorruptRecord(f"it is a {type(found).__name__}, not a map")
        return _checked(cast("dict[object, object]", found))
    except (CorruptRecord, InvalidInput) as error:
        raise CorruptRecord(f"the content of template {name!r} can't be read: {error}") from error


def digest_of(packed: bytes) -> bytes:
    """What names a version, wherever it was published: the first 16 bytes of the SHA-256 of its packed content."""
    return sha256(packed).digest()[:DIGEST_BYTES]


def _checked(fields: Mapping[object, object]) -> Content:
    if unknown := sorted(map(str, fields.keys() - _FIELDS)):
        raise CorruptRecord(f"field {unknown[0][:40]!r} is not known here: update workers before producers")
    queue = fields.get("queue")
    return Content(
        task=validation.task_name(fields.get("task")),
        defaults=_bytes("defaults", fields.get("defaults")),
        queue=None if queue is None else validation.queue_name(queue),
        priority=validation.priority(fields.get("priority")),
        expires_ms=_milliseconds("expires_ms", fields.get("expires_ms"), 1),
        result_ttl_ms=_milliseconds("result_ttl_ms", fields.get("result_ttl_ms"), 0),
        carried=_bytes("carried", fields.get("carried", b"")),
        schema=fields.get("schema"),
    )


def _bytes(name: str, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    raise CorruptRecord(f"{name} is a {type(value).__name__}, not bytes")


def _milliseconds(name: str, value: object, least: int) -> int | None:
    if value is None:
        return None
    return validation.whole(name, value, least, validation.MAX_DELAY_DAYS * 86_400_000)
