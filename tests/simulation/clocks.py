"""The clocks of a simulated world: the server's, which may jump, and the monotonic one that all processes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Long past, so that a process that trusts its own clock instead of the server's is years ahead, and found out.
_BEGIN_MS: Final = 1_700_000_000_000


@dataclass
class Clocks:
    """Moved by the driver alone."""

    now_ms: int = _BEGIN_MS
    monotonic_ms: int = 5_000_000
    server_started_ms: int = 0  # monotonic
    latest_ms: int = _BEGIN_MS

    def advance(self, by_ms: int) -> None:
        """Time passes."""
        self.monotonic_ms += by_ms
        self.jump(by_ms)

    def jump(self, by_ms: int) -> None:
        """The server's clock is set."""
        self.now_ms += by_ms
        self.latest_ms = max(self.latest_ms, self.now_ms)

    def monotonic_seconds(self) -> float:
        return self.monotonic_ms / 1000

    def uptime_seconds(self) -> int:
        return (self.monotonic_ms - self.server_started_ms) // 1000
