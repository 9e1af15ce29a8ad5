"""The commands of job templates: see `tidemill.templates`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, cast

from tidemill.errors import CorruptRecord, InvalidInput
from tidemill.wire.command import Argument, Command, call
from tidemill.wire.dead_letters import Hand
from tidemill.wire.replies import pairs, text, texts, whole
from tidemill.wire.script import load
from tidemill.wire.shard import Shard

# Of one template, those that are not retired. A list of all is one reply of about a hundred kilobytes then.
VERSIONS_KEPT: Final = 1_000
# How long the content of a retired version is there for the jobs that were enqueued for it: longer than jobs wait.
RETIRED_KEPT_MS: Final = 30 * 86_400_000

_VERSION: Final = re.compile(r"([1-9][0-9]{0,14}) ([0-9a-f]{32})")
_LABEL: Final = re.compile(r"(\S+) ([1-9][0-9]{0,14} [0-9a-f]{32}) ([0-9]{1,9})")
_ROW: Final = re.compile(r"([0-9a-f]{32}) ([0-9]{1,15}) ([0-9]{1,15}) ([0-9]{1,15})")

Outcome = Literal["done", "unknown", "retired", "labelled", "full"]
"""Of a change by hand. unknown: there is no such version, or label; retired, labelled: the version is, which stands in
the way; full: the template has as many labels as it may have."""


class Version(NamedTuple):
    """`digest`: of its content, 16 bytes."""

    number: int
    digest: bytes


class Label(NamedTuple):
    """`weight`: its share of the jobs, among those of all labels; 0: none."""

    name: str
    version: Version
    weight: int


@dataclass(frozen=True, slots=True)
class Pointers:
    """What is current. `newest`: None when all versions are retired. `labels`: in the order of their names.

    revision: raised with each change, and never below the server's time in ms.
    """

    name: str
    task: str
    revision: int
    newest: Version | None
    labels: tuple[Label, ...]


class Published(NamedTuple):
    """`is_new`: nobody has published this content before. `is_retired`: somebody has, and it is retired."""

    version: Version
    is_new: bool
    is_retired: bool


class VersionInfo(NamedTuple):
    """`retired_ms`: 0 when it is not. `bytes`: of its content."""

    version: Version
    published_ms: int
    retired_ms: int
    bytes: int
    labels: tuple[str, ...]


class Use(NamedTuple):
    """How often a worker has used a version, and how often it had it in its cache, since it told last."""

    name: str
    number: int
    uses: int
    hits: int


class Hot(NamedTuple):
    """Estimates for the whole fleet. `daily_uses`: in the last 24 hours; `uses` and `hits`: in the last hour."""

    name: str
    number: int
    daily_uses: int
    uses: int
    hits: int


class Templating(Shard):
    def publish_template(
        self,
        name: str,
        task: str,
        digest: bytes,
        content: bytes,
        now_ms: Argument = "",
        most: int = VERSIONS_KEPT,
    ) -> Command[Published]:
        """`most`: versions that are kept; the oldest without a label is retired for one more. Its parse raises
        InvalidInput when the template has another task."""

        def parse(reply: Any) -> Published:
            if not int(reply[0]):
                raise InvalidInput(
                    f"template {name!r} has the task {text(reply[1])!r}, and all its versions have: publish one of "
                    f"{task!r} under another name"
                )
            return Published(Version(int(reply[0]), digest), bool(reply[1]), bool(reply[2]))

        keys = (self.keys.template(name), self.keys.templates)
        arguments = (now_ms, name, task, digest.hex(), content, most, RETIRED_KEPT_MS)
        return call(load("publish_template"), keys, arguments, parse)

    def retire_template(
        self, name: str, number: int, keep_ms: int, hand: Hand, now_ms: Argument = ""
    ) -> Command[Outcome]:
        """`keep_ms`: how long its content stays for the jobs that were enqueued for it."""
        return self._by_hand("retire_template", name, (now_ms, *hand, name, number, keep_ms))

    def restore_template(self, name: str, number: int, hand: Hand, now_ms: Argument = "") -> Command[Outcome]:
        """A retired version is as before, unless its content is gone: unknown."""
        return self._by_hand("restore_template", name, (now_ms, *hand, name, number))

    def label_template(
        self, name: str, label: str, number: int | None, weight: int, hand: Hand, now_ms: Argument = ""
    ) -> Command[Outcome]:
        """`number`: None removes the label."""
        arguments = (now_ms, *hand, name, label, "" if number is None else number, weight)
        return self._by_hand("label_template", name, arguments)

    def look_template(self, name: str) -> Command[Pointers | None]:
        """None: nobody has published it. Its parse raises CorruptRecord."""

        def parse(reply: Any) -> Pointers | None:
            task, revision, newest, labels = map(text, reply)
            if not task:
                return None
            found = sorted(_label(name, word) for word in labels.split(",") if word)
            return Pointers(name, task, whole(revision), _version(name, newest) if newest else None, tuple(found))

        return Command(("HMGET", self.keys.template(name), "task", "revision", "newest", "labels"), parse)

    def look_template_version(self, name: str, number: int) -> Command[tuple[bytes, bool] | None]:
        """Its digest, and whether it is retired; None: there is no such version. Its parse raises CorruptRecord."""

        def parse(reply: Any) -> tuple[bytes, bool] | None:
            if reply is None:
                return None
            found = _info(name, number, text(reply), ())
            return found.version.digest, found.retired_ms > 0

        return Command(("HGET", self.keys.template(name), f"v:{number}"), parse)

    def read_template(self, name: str, number: int) -> Command[bytes | None]:
        """The content, as it was published; None: it is not there, or not any more."""
        return Command(("GET", self.keys.content(name, number)), lambda reply: reply)

    def template_names(self) -> Command[list[str]]:
        return Command(("SMEMBERS", self.keys.templates), lambda reply: sorted(texts(reply)))

    def template_versions(self, name: str) -> Command[list[VersionInfo]]:
        """Those that are not forgotten, the newest first. Its parse raises CorruptRecord."""

        def parse(reply: Any) -> list[VersionInfo]:
            fields = dict(pairs(reply))
            labels = [_label(name, word) for word in text(fields.get("labels")).split(",") if word]
            numbers = [int(field[2:]) for field in fields if re.fullmatch(r"v:[1-9][0-9]{0,14}", field)]
            return [
                _info(name, number, text(fields[f"v:{number}"]), labels) for number in sorted(numbers, reverse=True)
            ]

        return Command(("HGETALL", self.keys.template(name)), parse)

    def report_uses(self, uses: Sequence[Use], now_ms: Argument = "") -> Command[int]:
        """These are figures: what is sent again counts twice."""
        rows = tuple(word for use in uses for word in use)
        return call(load("report_uses"), (self.keys.templates,), (now_ms, *rows), int)

    def hottest(self, most: int, now_ms: Argument = "") -> Command[list[Hot]]:
        """The versions that the fleet uses most, the most used first. `most`: 1 to 1,000."""
        return call(
            load("hottest"),
            (self.keys.templates,),
            (now_ms, most),
            lambda reply: [hot for row in reply if (hot := _hot(row))],
        )

    def _by_hand(self, script: str, name: str, arguments: tuple[Argument, ...]) -> Command[Outcome]:
        keys = (self.keys.template(name), self.keys.audit)
        return call(load(script), keys, arguments, lambda reply: cast("Outcome", text(reply)))


def template_news_in(message: str) -> tuple[str, int] | None:
    """The template and its revision, of a message on the channel; None: it is none of ours."""
    name, _, revision = message.partition(" ")
    return (name, int(revision)) if name and re.fullmatch("[0-9]{1,15}", revision) else None


def _version(name: str, words: str) -> Version:
    if found := _VERSION.fullmatch(words):
        return Version(int(found[1]), bytes.fromhex(found[2]))
    raise _corrupt(name, words)


def _label(name: str, words: str) -> Label:
    if found := _LABEL.fullmatch(words):
        return Label(found[1], _version(name, found[2]), int(found[3]))
    raise _corrupt(name, words)


def _info(name: str, number: int, row: str, labels: Iterable[Label]) -> VersionInfo:
    if not (found := _ROW.fullmatch(row)):
        raise _corrupt(name, row)
    its_labels = sorted(label.name for label in labels if label.version.number == number)
    return VersionInfo(
        Version(number, bytes.fromhex(found[1])), int(found[2]), int(found[3]), int(found[4]), tuple(its_labels)
    )


def _hot(row: Any) -> Hot | None:
    """None: what a foreign hand has counted."""
    name, _, number = text(row[0]).rpartition(":")
    return Hot(name, int(number), *(int(count) for count in row[1:])) if name and number.isdecimal() else None


def _corrupt(name: str, words: str) -> CorruptRecord:
    return CorruptRecord(f"template {name!r} holds {words[:60]!r}, which no Tidemill wrote")
