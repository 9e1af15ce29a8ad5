"""A process's copy of a breaker: what decides on its calls. Pure functions from one standing to the next.

The epoch orders news: they come by two ways, a message and an answer, and the slower one must not undo the other. What
this process has found out before the server knows it (`is_local`) stands in the same epoch as what it follows.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tidemill.breakers.settings import BreakerSettings
from tidemill.wire.scripts import BreakerState, News


class Standing(NamedTuple):
    """`due`: from when on asking for a permit makes sense, in monotonic seconds. `openings`: those in a row that this
    process has made by itself."""

    state: BreakerState
    epoch: int
    due: float
    reason: str
    is_local: bool = False
    openings: int = 0


UNKNOWN: Final = Standing("closed", 0, 0.0, "")


def heard(
    standing: Standing, news: News, now: float, *, is_answer: bool = False, asked: Standing | None = None
) -> Standing:
    """After news from the server. `is_answer`: to a process that has been alone, so it counts in the same epoch too.

    asked: what was so here when this was asked for; None: it was not, or the answer is no refusal. Permits come free
    within an epoch, and a message may say so before the refusal is here that was written earlier.
    """
    told = Standing(news.state, news.epoch, now + news.wait_ms / 1000, news.reason)
    if news.epoch > standing.epoch:
        return told
    if news.epoch < standing.epoch:
        return standing
    if standing.is_local:
        return told if is_answer else standing
    if not news.state == standing.state == "half_open":
        return standing
    return told if asked is None or asked is standing else standing


def tripped(standing: Standing, settings: BreakerSettings, reason: str, now: float) -> Standing:
    """What this process has seen is enough, or its own probe has failed: it calls no more, whoever knows."""
    openings = standing.openings + 1
    doubled_ms = settings.reset_timeout_ms * 2 ** min(openings - 1, 30)
    due = now + min(doubled_ms, settings.max_reset_timeout_ms) / 1000
    return Standing("open", standing.epoch, due, reason, True, openings)


def probing(standing: Standing, now: float) -> Standing:
    """Nobody can be asked for a permit: it lets probes through by itself."""
    return standing._replace(state="half_open", due=now, is_local=True)


def recovered(standing: Standing) -> Standing:
    """Its own probes have passed, and nobody can be told."""
    return Standing("closed", standing.epoch, 0.0, "probe", True)
