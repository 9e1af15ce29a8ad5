"""What a producer knows of templates: which versions are current, and what is in them.

Which are current is asked for again when the answer is older than 100 ms: one round trip, at most ten a second of one
template, and only by those that enqueue. Contents never change, so they are kept.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tidemill.errors import CorruptRecord, InvalidInput, TidemillError
from tidemill.templates import content
from tidemill.templates.declared import Declared, Upcaster, publishing, signable
from tidemill.templates.loaded import Loaded
from tidemill.wire.signing import Refusal, payload_of
from tidemill.wire.templating import Pointers, Version

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

# How old the answer to "which versions are current" may be. What is published or labelled reaches producers so soon.
MAX_AGE_SECONDS: Final = 0.1
# Of a pinned version only its retirement can be news, and nobody retires what is in use by the second.
MAX_PINNED_AGE_SECONDS: Final = 1.0
# While one asks, others go on with the last answer; but not for longer than this, whatever has become of the question.
PATIENCE_SECONDS: Final = 1.0
# Versions of all templates, whose contents are kept; an application has a few of each.
MAX_LOADED: Final = 1_000
MAX_SEEN: Final = 1_000


@dataclass(slots=True)
class Seen:
    """The answer to a question.

    pointers: None: nobody has published the template.
    looked: the version that was asked for; None: there is none, or none was asked for.
    is_shared_out: jobs that name no version may be of different ones.
    """

    pointers: Pointers | None
    looked: Version | None
    is_retired: bool
    is_shared_out: bool
    asked_at: float  # monotonic seconds
    is_asked_again: bool = field(default=False, compare=False)


class Catalog:
    """`client.catalog`: the templates of one application in one process."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._seen: dict[tuple[str, int], Seen] = {}
        self._loaded: OrderedDict[tuple[str, Version], Loaded] = OrderedDict()
        self._upcasters: dict[str, dict[int, Upcaster]] = {}
        self.declared: dict[str, Declared] = {}

    def upcasters(self, name: str) -> Mapping[int, Upcaster]:
        """Those that this process has for a template: version → what makes arguments of the next one of its own."""
        return self._upcasters.get(name, {})

    def upcast(self, name: str, step: int, upcaster: Upcaster) -> None:
        self._upcasters.setdefault(name, {})[step] = upcaster

    def is_unpublished(self, name: str) -> bool:
        """Whether this process declares the template, and has not published it so far."""
        declared = self.declared.get(name)
        return declared is not None and declared.version is None

    # -- which versions are current -----------------------------------------------------------------------------

    def recent(self, name: str, number: int, max_age_seconds: float) -> Seen | None:
        """The last answer, if it is recent enough. `number`: of a version that is asked for as well; 0: of none."""
        found = self._seen.get((name, number))
        if found is None:
            return None
        age = time.monotonic() - found.asked_at
        return found if age < max_age_seconds or (found.is_asked_again and age < PATIENCE_SECONDS) else None

    def look(self, name: str, number: int) -> Operation[Seen]:
        """Asks the server."""
        from tidemill.client import Batch

        before = self._seen.get((name, number))
        if before is not None:
            before.is_asked_again = True
        asked_at, scripts = time.monotonic(), self._client.scripts
        try:
            if number:
                pointers, looked = yield Batch(
                    [scripts.look_template(name), scripts.look_template_version(name, number)]
                )
            else:
                pointers, looked = (yield scripts.look_template(name)), None
        except TidemillError as error:
            error.may_be_applied = False  # it was but a question: no job was sent
            raise
        finally:
            if before is not None:
                before.is_asked_again = False
        if len(self._seen) >= MAX_SEEN:
            self._seen.clear()
        digest, is_retired = looked or (b"", False)
        found = self._seen[name, number] = Seen(
            pointers=pointers,
            looked=Version(number, digest) if looked else None,
            is_retired=is_retired,
            is_shared_out=pointers is not None and any(label.weight for label in pointers.labels),
            asked_at=asked_at,
        )
        return found

    # -- what is in them ----------------------------------------------------------------------------------------

    def held(self, name: str, version: Version) -> Loaded | None:
        """A content that was read before."""
        key = (name, version)
        found = self._loaded.get(key)
        if found is not None:
            try:
                self._loaded.move_to_end(key)
            except KeyError:  # another thread has just dropped it for a newer one
                return found
        return found

    def load(self, name: str, task: str, version: Version, own: Declared | None) -> Operation[Loaded]:
        """The content, from this process's code if it has declared it. Raises InvalidInput, CorruptRecord."""
        if own is not None and own.digest == version.digest:
            return self._keep(Loaded(name, version, own.content, self._client.codec, own.schema))
        try:
            data: bytes | None = yield self._client.scripts.read_template(name, version.number)
        except TidemillError as error:
            error.may_be_applied = False
            raise
        if data is None:
            raise InvalidInput(
                f"the content of template {name!r}, version {version.number}, is not on the server any more: publish "
                "it again, or take another version (`tidemill templates list`)"
            )
        packed = self._verified(name, task, version, data)
        return self._keep(Loaded(name, version, content.read(name, packed), self._client.codec))

    def publish(self, declared: Declared) -> Operation[Version]:
        """Publishes what code declares. Raises InvalidInput if the template has another task."""
        published = yield from publishing(self._client, declared)
        declared.version = published.version
        for key in [key for key in self._seen if key[0] == declared.name]:
            self._seen.pop(key, None)
        return published.version

    def _keep(self, loaded: Loaded) -> Loaded:
        self._loaded[loaded.name, loaded.version] = loaded
        while len(self._loaded) > MAX_LOADED:
            self._loaded.popitem(last=False)
        return loaded

    def _verified(self, name: str, task: str, version: Version, data: bytes) -> bytes:
        what = f"the content of template {name!r}, version {version.number},"
        if self._client.signing is not None:
            packed = self._client.signing.verify(signable(name, task), data)
            if isinstance(packed, Refusal):
                raise CorruptRecord(f"{what} is refused: {packed.text}")
        else:
            packed = payload_of(data)
        if content.digest_of(packed) != version.digest:
            raise CorruptRecord(f"{what} is not what was published under that number: publish it again")
        return packed
