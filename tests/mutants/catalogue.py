"""The planted bugs: each a small change of the source, and the layer of tests that has to find it.

The numbers are those of the reliability study: what people who wrote queues have really got wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LUA: Final = "producers/tidemill/wire/lua/"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` stands exactly once in `file`, and becomes `new`."""

    name: str
    bug: str
    file: str
    old: str
    new: str
    layer: str = "simulation"

    def plant(self, root: Path) -> None:
        """Changes the copy at `root`. Raises LookupError if the source is not as expected."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise LookupError(f"{self.name}: {self.file} has {text.count(self.old)} times: {self.old!r}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


_POP_THEN_PUSH: Final = """\
        for queue in calls:
            keys = self._scripts.keys
            words = ("ZRANGE", keys.wheel(queue), "-inf", now_ms, "BYSCORE")
            for job in self._link.run(Command(words, list)):
                self._link.run(Command(("ZREM", keys.wheel(queue), job), int))
                self._link.run(Command(("XADD", keys.ready(queue, "normal"), "*", "j", job), str))
                self._link.run(Command(("HSET", keys.job(job.decode()), "s", "ready"), int))
        try:
            return min("""

MUTANTS: Final = (
    Mutant(
        "M1",
        "complete is not fenced",
        f"{_LUA}complete.lua",
        "if holds(record, incarnation, attempt) then",
        "if record[1] == 'running' then",
    ),
    Mutant(
        "M2",
        "promote pops in the client, then pushes",
        "scheduler/tidemill_scheduler/promoter.py",
        "        try:\n            return min(",
        _POP_THEN_PUSH,
    ),
    Mutant(
        "M4",
        "an enqueue that is repeated makes the job again",
        f"{_LUA}enqueue.lua",
        "states[id] or read(id)[1], nil",
        "states[id], nil",
    ),
    Mutant(
        "M5",
        "ready streams are trimmed",
        f"{_LUA}lib/ticket.lua",
        "(LANES[priority] or 'normal'), '*',",
        "(LANES[priority] or 'normal'), 'MAXLEN', 3, '*',",
    ),
    Mutant(
        "M6",
        "a consumer is deleted with its pending tickets",
        f"{_LUA}retire.lua",
        "if #pending == 0 then",
        "if true then",
    ),
    Mutant(
        "M7",
        "promote trusts the clock of its process",
        "scheduler/tidemill_scheduler/promoter.py",
        "settings.HIGH_WATER_JOBS)",
        "settings.HIGH_WATER_JOBS, __import__('time').time_ns() // 10**6)",
    ),
    Mutant(
        "M8",
        "crashes are not counted",
        f"{_LUA}recover.lua",
        "elseif crashes > tonumber(ARGV[7]) then",
        "elseif false then",
    ),
    Mutant(
        "M9",
        "tickets are acknowledged before the job has run",
        f"{_LUA}take.lua",
        "  if record[6] then redis.pcall('ZREM', root .. 'expiring', id) end\n  jobs",
        "  if record[6] then redis.pcall('ZREM', root .. 'expiring', id) end\n  drop_later(index, entry)\n  jobs",
    ),
    Mutant(
        "M10",
        "suspects run beside others",
        "consumers/tidemill_consumers/runs.py",
        "if run.taken.crashes >= SUSPECT_CRASHES:\n",
        "if run.taken.crashes >= 1000:\n",
    ),
    Mutant(
        "M12",
        "leases are believed right after a restart or a jump of the clock",
        "scheduler/tidemill_scheduler/reaper.py",
        "grace_ms = 0 if how else _lease_ms(described) - believed_ms",
        "grace_ms = 0 * believed_ms",
    ),
    Mutant(
        "M13",
        "a unique lock is deleted without a look at whose it is",
        f"{_LUA}lib/over.lua",
        "if unique and redis.pcall('GET', root .. 'unique:' .. unique) == id then",
        "if unique then",
    ),
)
