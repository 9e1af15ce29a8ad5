"""Which server: a URL, or a way to find it."""

from __future__ import annotations

from collections.abc import Callable

from tidemill.errors import InvalidInput
from tidemill.logs import mask_url
from tidemill.suitability import examine, parse_info
from tidemill.telemetry import Event, event


class Target:
    """A server, by its URL. `resolve` may have to start it: the embedded server."""

    def __init__(self, resolve: Callable[[], str]) -> None:
        self._resolve = resolve
        self.examined = False

    @property
    def url(self) -> str:
        """Raises InvalidInput for a URL of another kind."""
        url = self._resolve()
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise InvalidInput(f"server URL {mask_url(url)!r}: it must begin with redis://, rediss:// or unix://")
        return url

    @property
    def masked(self) -> str:
        """The URL without its password."""
        return mask_url(self._resolve())

    def examine(self, info: object) -> None:
        """Checks INFO's answer, once. Raises ServerUnsuitable; warns of what can cost jobs."""
        text = info.decode() if isinstance(info, bytes) else str(info)
        for warning in examine(parse_info(text)):
            event(Event.SERVER_UNSAFE, server=self.masked, reason=warning)
        self.examined = True
