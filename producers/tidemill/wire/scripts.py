"""One typed method for each Lua script, of the same name, and for the few plain commands beside them.

A method builds a `Command` (what is sent, and how the answer is read); a link sends it. `now_ms` is for tests alone:
in production scripts read the server's clock. The methods stand by the role that calls them, with the types of their
answers: producing.py, membership.py, working.py, effects.py, scheduling.py, inspecting.py, limiting.py, sharing.py,
dead_letters.py, doctoring.py, breaking.py, templating.py.
"""

from __future__ import annotations

from tidemill.wire.breaking import BreakerFigures, BreakerState, Breaking, News, ProbeOutcome, Reopening
from tidemill.wire.dead_letters import DeadLettering, Entry, Hand, Letter, LetterPage, Requeue, Sieve
from tidemill.wire.doctoring import Doctoring
from tidemill.wire.effects import Claim, Effecting, Marked
from tidemill.wire.inspecting import Inspecting, QueueFigures
from tidemill.wire.limiting import Limiting
from tidemill.wire.membership import Membership, Renewal
from tidemill.wire.producing import (
    EnqueueAnswer,
    Enqueued,
    Full,
    Fullness,
    Limit,
    NewJob,
    NewJobs,
    Pressed,
    Producing,
    Unconfirmed,
    Unprepared,
    WhenFull,
)
from tidemill.wire.scheduling import Promoted, Recovered, Scheduling, Shed, Survey
from tidemill.wire.shard import Kept
from tidemill.wire.sharing import Sharing
from tidemill.wire.templating import (
    Hot,
    Label,
    Outcome,
    Pointers,
    Published,
    Templating,
    Use,
    Version,
    VersionInfo,
)
from tidemill.wire.working import Taken, Takings, Ticket, Working

__all__ = [
    "BreakerFigures",
    "BreakerState",
    "Claim",
    "EnqueueAnswer",
    "Enqueued",
    "Entry",
    "Full",
    "Fullness",
    "Hand",
    "Hot",
    "Kept",
    "Label",
    "Letter",
    "LetterPage",
    "Limit",
    "Marked",
    "NewJob",
    "NewJobs",
    "News",
    "Outcome",
    "Pointers",
    "Pressed",
    "ProbeOutcome",
    "Promoted",
    "Published",
    "QueueFigures",
    "Recovered",
    "Renewal",
    "Reopening",
    "Requeue",
    "Scripts",
    "Shed",
    "Sieve",
    "Survey",
    "Taken",
    "Takings",
    "Ticket",
    "Unconfirmed",
    "Unprepared",
    "Use",
    "Version",
    "VersionInfo",
    "WhenFull",
]


class Scripts(
    Producing,
    Membership,
    Working,
    Effecting,
    Scheduling,
    Inspecting,
    Limiting,
    Sharing,
    DeadLettering,
    Doctoring,
    Breaking,
    Templating,
):
    """Commands for one shard."""
