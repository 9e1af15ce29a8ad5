"""Which server: a URL, or a way to find it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tidemill.errors import InvalidInput
from tidemill.logs import mask_url
from tidemill.sentinel_url import SENTINEL_SCHEMES, SentinelUrl, is_sentinel_url
from tidemill.suitability import examine, parse_info
from tidemill.telemetry import Event, event

SCHEMES: Final = ("redis://", "rediss://", "unix://", *SENTINEL_SCHEMES)


class Target:
    """A server, by its URL. `resolve` may have to start it: the embedded server."""

    def __init__(self, resolve: Callable[[], str]) -> None:
        self._resolve = resolve
        self._last_url: str | None = None
        self._place = ""
        self.examined = False

    @property
    def url(self) -> str:
        """Raises InvalidInput for a URL of another kind."""
        self._last_url = checked_url(self._resolve())
        return self._last_url

    @property
    def masked(self) -> str:
        """The URL without its password."""
        # The one that was used: an error message must not start an embedded server that has just stopped.
        return mask_url(self._last_url or self._resolve())

    def located(self, place: str) -> None:
        """The server that a Sentinel URL stands for now. Another one is examined like the first."""
        if place != self._place:
            self._place = place
            self.examined = False

    def examine(self, info: object) -> None:
        """Checks INFO's answer, once. Raises ServerUnsuitable; warns of what can cost jobs."""
        fields = parse_info(info.decode() if isinstance(info, bytes) else str(info))
        if fields.get("loading") == "1":
            return  # it says that it has no append-only file, until it has read it; the next connection asks again
        for warning in examine(fields):
            event(Event.SERVER_UNSAFE, server=self.masked, reason=warning)
        self.examined = True

    def leave_unexamined(self, reason: str) -> None:
        """For a user who may not ask the server what it is."""
        self.examined = True
        event(Event.SERVER_UNSAFE, server=self.masked, reason=f"it can't be examined: {reason}")


def checked_url(url: str) -> str:
    """The URL. Raises InvalidInput if its scheme is another, or if it is a Sentinel URL of another form."""
    if not url.startswith(SCHEMES):
        raise InvalidInput(
            f"server URL {mask_url(url)!r}: it must begin with redis://, rediss:// or unix://, "
            "or with redis+sentinel:// to find the primary by its sentinels"
        )
    if is_sentinel_url(url):
        SentinelUrl.read(url)
    return url
