"""What a simulated world was asked for, what it has seen happen, and what was wrong."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Final

# Stream entries carry the server's real time: they are left out of the history, which is the same for a seed each time.
_ENTRY: Final = re.compile(r"\d{13}-\d+")


class Violation(Exception):
    """An invariant is broken."""


@dataclass
class Asked:
    """A job, as it was asked for. `kind` says how it behaves; `fails`: how often it fails before it succeeds."""

    id: str
    kind: str = "healthy"
    fails: int = 0
    made: bool = False  # its record was seen
    acked: bool = False
    dropped: bool = False  # retention has forgotten it since
    remade: bool = False  # and it was made again while a ticket of the former one lay there, unread
    ended: str = ""
    may_cancel: bool = False
    may_expire: bool = False
    damaged: bool = False
    astray: bool = False  # it runs, and what was pending was forgotten with its group
    starts: int = 0


@dataclass
class Ledger:
    """`sometimes` counts what must be reached now and then; a branch that never is proves nothing."""

    jobs: dict[str, Asked] = field(default_factory=dict[str, Asked])
    sometimes: Counter[str] = field(default_factory=Counter[str])
    history: list[str] = field(default_factory=list[str])
    settled: dict[tuple[str, str, str], str] = field(default_factory=dict[tuple[str, str, str], str])

    def note(self, now_ms: int, actor: str, what: str) -> None:
        """A line of the history."""
        line = f"{len(self.history):4} {now_ms / 1000:.3f} {actor:12} {_ENTRY.sub('·', what)}"
        self.history.append(line)

    def digest(self) -> str:
        return sha1("\n".join(self.history).encode(), usedforsecurity=False).hexdigest()[:16]
