"""From what the server has of a version to what a worker holds: verify, decode, bind the task, compile the schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tidemill.errors import CorruptRecord, RemoteError
from tidemill.task import Definition
from tidemill.telemetry import ParkReason
from tidemill.templates import content
from tidemill.templates.schema import compile_form
from tidemill.wire.envelope import Codec
from tidemill.wire.signing import Refusal, Signable, Signing, is_signed
from tidemill_consumers import terms
from tidemill_consumers.outcomes import Dead
from tidemill_consumers.templates.copying import size_of
from tidemill_consumers.templates.version import (
    REFERENCE_DIGEST_BYTES,
    Key,
    Resolved,
    Upcaster,
    make_bind,
    make_bind_late,
    steps_from,
)

Upcasters = Callable[[str], Mapping[int, Upcaster]]
"""Those that the application has declared for the template of this name, by the version that they start from."""


class Unknown(Exception):
    """Jobs of this version can't run here now: they are parked, with this text and label."""

    def __init__(self, reason: str, label: ParkReason = "unknown_template") -> None:
        super().__init__(reason)
        self.reason = reason
        self.label: ParkReason = label


class Refused(Exception):
    """Jobs of this version can't run at all: they are dead letters. `why`: for the log."""

    def __init__(self, why: str, dead: Dead) -> None:
        super().__init__(dead.error.message)
        self.why = why
        self.dead = dead


class Builder:
    """What versions are made with, of one application."""

    def __init__(
        self, tasks: Mapping[str, Definition], codec: Codec, signing: Signing | None, upcasters: Upcasters
    ) -> None:
        self._tasks = tasks
        self._codec = codec
        self._signing = signing
        self._upcasters = upcasters

    def build(self, key: Key, task: str, digest: bytes | None, stored: bytes | None) -> Resolved:
        """task: the template's, as the job or the server says. digest: its first 8 bytes, as they must be;
        None: whatever they are.

        Raises Unknown and Refused.
        """
        if stored is None:
            raise Unknown(f"template {key.name!r} has no version {key.number}, or its content is gone")
        definition = self._tasks.get(task)
        if definition is None:
            raise Unknown(f"no worker of this queue knows task {task!r}", "unknown_task")
        packed = self._verified(key.name, task, stored)
        found = content.digest_of(packed)[:REFERENCE_DIGEST_BYTES]
        if digest is not None and found != digest:
            raise Unknown(
                f"version {key.number} of template {key.name!r} has another content than the job was made for"
            )
        try:
            return self._decoded(key, definition, found, packed)
        except CorruptRecord as error:
            raise Refused("damaged", _corrupt(str(error))) from error

    def _verified(self, name: str, task: str, stored: bytes) -> bytes:
        if self._signing is None:
            if is_signed(stored):
                raise Unknown(f"template {name!r} is signed, and this worker has no keys", "no_keys")
            return stored
        payload = self._signing.verify(Signable("", task, f"template:{name}", b""), stored)
        if isinstance(payload, Refusal):
            text = f"the content of template {name!r} is refused: {payload.text}"
            raise Refused(payload.why, Dead(RemoteError("InvalidSignature", text), "signature"))
        return payload

    def _decoded(self, key: Key, definition: Definition, digest: bytes, packed: bytes) -> Resolved:
        found = content.read(key.name, packed)
        if found.task != definition.name:
            raise CorruptRecord(f"template {key.name!r} is of task {found.task!r} and not of {definition.name!r}")
        _, defaults = self._codec.decode_call(found.defaults)
        its_terms = terms.terms_of(definition)
        if found.carried:
            its_terms = terms.changed(its_terms, terms.read(found.carried))
        checker = None if found.schema is None else compile_form(found.schema)
        bind = make_bind(defaults, steps_from(key.number, self._upcasters(key.name)))
        return Resolved(
            key,
            digest,
            definition,
            its_terms,
            bind,
            make_bind_late(bind, checker, defaults),
            len(packed) + size_of(defaults),
        )


def _corrupt(what: str) -> Dead:
    return Dead(RemoteError("CorruptRecord", f"its template is not one that Tidemill wrote: {what}"), "corrupt")
