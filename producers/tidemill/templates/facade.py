"""`mill.templates`: a look at templates and their versions, and a hand on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tidemill.dead_letters.hands import hand
from tidemill.options import Duration
from tidemill.templates import looking, steering
from tidemill.templates.differences import TemplateDiff
from tidemill.templates.looking import Which
from tidemill.templates.shown import TemplateContent, TemplateInfo, TemplateVersion
from tidemill.wire.templating import RETIRED_KEPT_MS

if TYPE_CHECKING:
    from tidemill.client import Client

KEPT_SECONDS: Final = RETIRED_KEPT_MS / 1000


class Templates:
    """`mill.templates`. Every call has an a-twin. `by` is who does it (user@host unless given), `reason` why: both
    stand in the audit. What is said by hand reaches producers within 100 ms, and workers at once."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> Sequence[TemplateInfo]:
        """All templates, by name."""
        return self._client.run(looking.templates(self._client))

    async def alist(self) -> Sequence[TemplateInfo]:
        """`list` for async code."""
        return await self._client.arun(looking.templates(self._client))

    def versions(self, name: str) -> Sequence[TemplateVersion]:
        """The versions that the server knows, the newest first. Raises InvalidInput for an unknown template."""
        return self._client.run(looking.versions(self._client, name))

    async def aversions(self, name: str) -> Sequence[TemplateVersion]:
        """`versions` for async code."""
        return await self._client.arun(looking.versions(self._client, name))

    def show(self, name: str, version: Which = None) -> TemplateContent:
        """What a version says: its number, a label's name, or "newest" (as without one).

        The signature of a signed content is not verified: that is for workers. Raises InvalidInput for one that there
        is not, or whose content has ended, and CorruptRecord.
        """
        return self._client.run(looking.show(self._client, name, version))

    async def ashow(self, name: str, version: Which = None) -> TemplateContent:
        """`show` for async code."""
        return await self._client.arun(looking.show(self._client, name, version))

    def diff(self, name: str, before: Which, after: Which) -> TemplateDiff:
        """What has changed from one version to another: defaults, options, schema. Raises as `show`."""
        return self._client.run(looking.diff(self._client, name, before, after))

    async def adiff(self, name: str, before: Which, after: Which) -> TemplateDiff:
        """`diff` for async code."""
        return await self._client.arun(looking.diff(self._client, name, before, after))

    def retire(
        self, name: str, version: int, *, keep: Duration = KEPT_SECONDS, by: str | None = None, reason: str = ""
    ) -> TemplateVersion:
        """Nothing more is enqueued for this version; what was enqueued still runs, as long as its content is kept.

        keep: for so long from now, a timedelta or seconds; 30 days unless given. Jobs that come to run later wait for
        somebody who publishes it again. Raises InvalidInput for an unknown version, and one that has a label.
        """
        return self._client.run(steering.retire(self._client, name, version, keep, hand(by, reason)))

    async def aretire(
        self, name: str, version: int, *, keep: Duration = KEPT_SECONDS, by: str | None = None, reason: str = ""
    ) -> TemplateVersion:
        """`retire` for async code."""
        return await self._client.arun(steering.retire(self._client, name, version, keep, hand(by, reason)))

    def restore(self, name: str, version: int, *, by: str | None = None, reason: str = "") -> TemplateVersion:
        """A retired version is as before. Raises InvalidInput for an unknown one, and one whose content has ended."""
        return self._client.run(steering.restore(self._client, name, version, hand(by, reason)))

    async def arestore(self, name: str, version: int, *, by: str | None = None, reason: str = "") -> TemplateVersion:
        """`restore` for async code."""
        return await self._client.arun(steering.restore(self._client, name, version, hand(by, reason)))

    def label(
        self, name: str, label: str, version: int, weight: int = 0, *, by: str | None = None, reason: str = ""
    ) -> TemplateInfo:
        """Puts a label on a version, in place of where it was.

        weight: its share of the jobs that say no version, among the weights of all labels; 0: none of them. Raises
        InvalidInput for an unknown or a retired version, and for more labels than 32.
        """
        return self._client.run(steering.label(self._client, name, label, version, weight, hand(by, reason)))

    async def alabel(
        self, name: str, label: str, version: int, weight: int = 0, *, by: str | None = None, reason: str = ""
    ) -> TemplateInfo:
        """`label` for async code."""
        return await self._client.arun(steering.label(self._client, name, label, version, weight, hand(by, reason)))

    def unlabel(self, name: str, label: str, *, by: str | None = None, reason: str = "") -> TemplateInfo:
        """Removes a label. Raises InvalidInput for one that there is not."""
        return self._client.run(steering.unlabel(self._client, name, label, hand(by, reason)))

    async def aunlabel(self, name: str, label: str, *, by: str | None = None, reason: str = "") -> TemplateInfo:
        """`unlabel` for async code."""
        return await self._client.arun(steering.unlabel(self._client, name, label, hand(by, reason)))
