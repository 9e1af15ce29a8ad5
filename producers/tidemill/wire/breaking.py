"""The commands of circuit breakers: see `tidemill.breakers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from tidemill.wire.command import Argument, Command, call
from tidemill.wire.dead_letters import Hand
from tidemill.wire.replies import text, texts, whole
from tidemill.wire.script import load
from tidemill.wire.shard import Shard

BreakerState = Literal["closed", "open", "half_open"]
ProbeOutcome = Literal["passed", "failed", "nothing"]


class News(NamedTuple):
    """A breaker as the server has it. `wait_ms`: until it may be half-open, or until it is worth asking again."""

    epoch: int
    state: BreakerState
    wait_ms: int
    reason: str


class Reopening(NamedTuple):
    """When an open breaker may be half-open: after `reset_ms`, doubled with each failure up to `most_ms`."""

    reset_ms: int
    most_ms: int


class BreakerFigures(NamedTuple):
    """`openings`: since it was closed. `permits`: of probes that are under way. `changed_ms`: 0 when it never has."""

    news: News
    openings: int
    passed: int
    permits: int
    changed_ms: int


class Breaking(Shard):
    def trip_breaker(
        self, name: str, epoch: int, reason: str, reopening: Reopening, now_ms: Argument = ""
    ) -> Command[News]:
        """`epoch`: in which the calls were made."""
        return call(load("trip_breaker"), self._breaker(name), (now_ms, name, epoch, reason, *reopening), _read_news)

    def probe_breaker(
        self, name: str, epoch: int, permit: str, lease_ms: int, most: int, now_ms: Argument = ""
    ) -> Command[tuple[News, bool]]:
        """What is so, and whether the permit was given. `epoch`: that the caller knows."""
        arguments = (now_ms, name, epoch, permit, lease_ms, most)
        return call(
            load("probe_breaker"), self._breaker(name), arguments, lambda reply: (_read_news(reply), bool(reply[4]))
        )

    def settle_probe(
        self,
        name: str,
        permit: str,
        outcome: ProbeOutcome,
        most: int,
        reopening: Reopening,
        now_ms: Argument = "",
    ) -> Command[News]:
        arguments = (now_ms, name, permit, outcome, most, *reopening)
        return call(load("settle_probe"), self._breaker(name), arguments, _read_news)

    def set_breaker(
        self, name: str, state: Literal["open", "closed"], for_ms: int, hand: Hand, now_ms: Argument = ""
    ) -> Command[News]:
        keys = (*self._breaker(name), self.keys.audit)
        return call(load("set_breaker"), keys, (now_ms, *hand, name, state, for_ms), _read_news)

    def look_breakers(self, names: Sequence[str], now_ms: Argument = "") -> Command[list[BreakerFigures]]:
        """Of at least one."""
        keys = tuple(self.keys.breaker(name) for name in names)
        return call(load("look_breakers"), keys, (now_ms,), lambda reply: [_read_figures(row) for row in reply])

    def readmit(self, name: str, task: str, page: int, step_us: int, now_ms: Argument = "") -> Command[int]:
        """`step_us`: between two jobs of all that this breaker has parked."""
        keys = (*self._breaker(name), self.keys.parked(task))
        return call(load("readmit"), keys, (now_ms, name, page, step_us), int)

    def breaker_names(self) -> Command[list[str]]:
        """Those that have changed within a day or so, in order."""
        return Command(("ZRANGE", self.keys.breakers, 0, -1), lambda reply: sorted(texts(reply)))

    def _breaker(self, name: str) -> tuple[str, str]:
        return self.keys.breaker(name), self.keys.breakers


def news_in(message: str) -> tuple[str, News] | None:
    """The breaker and its news, of a message on the channel; None: it is none of ours."""
    words = message.split(" ", 4)
    if len(words) != 5:
        return None
    name, epoch, state, wait_ms, reason = words
    return name, News(whole(epoch), _state(state), whole(wait_ms), reason)


def _state(word: str) -> BreakerState:
    match word:
        case "open" | "half_open":
            return word
        case _:
            return "closed"


def _read_news(reply: Any) -> News:
    return News(int(reply[0]), _state(text(reply[1])), int(reply[2]), text(reply[3]))


def _read_figures(row: Any) -> BreakerFigures:
    return BreakerFigures(_read_news(row), *(int(number) for number in row[4:8]))
