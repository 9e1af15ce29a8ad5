"""The planted bugs: each a small change of the source, and the layer of tests that has to find it.

Those of M are numbered as in the reliability study: what people who wrote queues have really got wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LUA: Final = "producers/tidemill/wire/lua/"
_WORKERS_TEMPLATES: Final = "consumers/tidemill_consumers/templates/"


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
        (root / self.file).write_text(self.applied(root), encoding="utf-8")

    def applied(self, root: Path) -> str:
        """The file with the bug. Raises LookupError."""
        text = (root / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise LookupError(f"{self.name}: {self.file} has {text.count(self.old)} times: {self.old!r}")
        return text.replace(self.old, self.new)


_POP_THEN_PUSH: Final = """\
        for queue in calls:
            keys = self._scripts.keys
            words = ("ZRANGE", keys.wheel(queue), "-inf", now_ms, "BYSCORE")
            for job in self._link.run(Command(words, list)):
                self._link.run(Command(("ZREM", keys.wheel(queue), job), int))
                self._link.run(Command(("XADD", keys.ready(queue, "normal"), "*", "j", job), str))
                self._link.run(Command(("HSET", keys.job(job.decode()), "s", "ready"), int))
        try:
            *answers"""

_THREE_STEPS: Final = """\
                    for taken, outcome in (one for group in groups for one in group):
                        if isinstance(outcome, Retried):
                            stream = self._scripts.keys.ready(taken.queue, LANES[taken.lane])
                            self._link.run(Command(("XACK", stream, "tidemill", taken.entry), int))
                            self._link.run(Command(("XDEL", stream, taken.entry), int))
                    answers = self._link.run_all("""

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
        "        try:\n            *answers",
        _POP_THEN_PUSH,
    ),
    Mutant(
        "M3",
        "a retry acknowledges, deletes, and then schedules",
        "consumers/tidemill_consumers/settlement.py",
        "                    answers = self._link.run_all(",
        _THREE_STEPS,
        "worker",
    ),
    Mutant(
        "M4",
        "an enqueue that is repeated makes the job again",
        f"{_LUA}enqueue.lua",
        "states[id] or some_exist and read(id)[1], nil",
        "states[id], nil",
    ),
    Mutant(
        "M5",
        "ready streams are trimmed",
        f"{_LUA}lib/ticket.lua",
        "'XADD', stream, '*',",
        "'XADD', stream, 'MAXLEN', 3, '*',",
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
        "elseif crashes > most_crashes then",
        "elseif false then",
        "properties",
    ),
    Mutant(
        "M9",
        "tickets are acknowledged before the job has run",
        f"{_LUA}take.lua",
        "  if record.n then redis.pcall('ZREM', root .. 'expiring', id) end\n  jobs",
        "  if record.n then redis.pcall('ZREM', root .. 'expiring', id) end\n  drop_later(index, entry)\n  jobs",
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
        "grace_ms = 0 if how else round(",
        "grace_ms = 0 * round(",
    ),
    Mutant(
        "M13",
        "a unique lock is deleted without a look at whose it is",
        f"{_LUA}lib/over.lua",
        "if unique and redis.pcall('GET', root .. 'unique:' .. unique) == id then",
        "if unique then",
        "tables",
    ),
    Mutant(
        "M16",
        "a group is made at the end of its stream",
        f"{_LUA}register.lua",
        "GROUP, '0', 'MKSTREAM'",
        "GROUP, '$', 'MKSTREAM'",
    ),
    Mutant(
        "M18",
        "a signature does not cover the queue",
        "producers/tidemill/wire/signing.py",
        "self._prefix, job.queue.encode(), job.task",
        "self._prefix, b'', job.task",
        "signing",
    ),
    # What the simulation has found in this product.
    Mutant(
        "S1",
        "the last ticket of a job that runs elsewhere is dropped when it is delivered again",
        f"{_LUA}take.lua",
        "if record[1] == 'running' and is_here and not (may_be_stray and is_stray(record)) then",
        "if record[1] == 'running' and is_here and not may_be_stray then",
    ),
    Mutant(
        "S2",
        "a worker that comes back under its name is taken for departed",
        f"{_LUA}register.lua",
        "redis.call('ZREM', root .. 'departed', ARGV[2])",
        "redis.call('ZSCORE', root .. 'departed', ARGV[2])",
        "tables",
    ),
    Mutant(
        "S3",
        "a worker starts a job that it runs, when its ticket is delivered again",
        "consumers/tidemill_consumers/reader.py",
        "return [ticket for ticket in tickets if ticket.job_id not in held]",
        "return tickets",
        "delivery",
    ),
    Mutant(
        "S4",
        "a full queue drops jobs of a higher priority than those that got in",
        f"{_LUA}shed.lua",
        "  allowed = math.min(allowed, above)\n",
        "",
        "tables",
    ),
    # Job templates.
    Mutant(
        "T1",
        "a restored version's content ends all the same, when it would have",
        f"{_LUA}restore_template.lua",
        "redis.call('PERSIST', key)",
        "redis.call('TTL', key)",
        "template contents",
    ),
    Mutant(
        "T2",
        "a job that is pinned to a version runs with the one that is current",
        f"{_WORKERS_TEMPLATES}resolver.py",
        "if wanted.is_late:\n            chosen",
        "if self._pointers.get(wanted.key.name) is not None:\n            chosen",
        "template news",
    ),
    Mutant(
        "T3",
        "jobs that take the current version all run with that of the first one that was taken with them",
        f"{_WORKERS_TEMPLATES}resolver.py",
        "if not wanted.is_late and wanted.carried is None:",
        "if wanted.carried is None:",
        "template news",
    ),
    Mutant(
        "T4",
        "news of a template that a worker could not follow at once are forgotten: it goes on with a stale version",
        f"{_WORKERS_TEMPLATES}loading.py",
        "            self.changed(heard)\n            raise",
        "            raise",
        "template news",
    ),
    # Circuit breakers.
    Mutant(
        "B1",
        "a half-open breaker does not count the probes that have passed",
        f"{_LUA}probe_breaker.lua",
        "breaker.passed + out >= most",
        "out >= most",
        "tables",
    ),
    Mutant(
        "B2",
        "old news turn a breaker back",
        "producers/tidemill/breakers/standing.py",
        "    if news.epoch < standing.epoch:\n        return standing\n",
        "    if news.epoch < standing.epoch:\n        return told\n",
        "breakers",
    ),
    # Limits.
    Mutant(
        "L1",
        "a slow rate is forgotten while its burst is used up",
        f"{_LUA}lib/limits.lua",
        "text_of(math.ceil(ahead / 1000) + KEPT_LONGER_MS)",
        "text_of(KEPT_LONGER_MS)",
        "scripts",
    ),
    Mutant(
        "L2",
        "the permits of a dead worker are not given back",
        f"{_LUA}recover.lua",
        "  held = note_permits(held, id, record[12])\n",
        "",
        "tables",
    ),
    Mutant(
        "L3",
        "a worker that lost its job gives back the permit of who runs it now",
        f"{_LUA}complete.lua",
        "  if holds(record, incarnation, attempt) then\n",
        "  held = note_permits(held, id, record[8])\n  if holds(record, incarnation, attempt) then\n",
        "tables",
    ),
    # Tenants.
    Mutant(
        "F1",
        "a tenant's time does not go on with its jobs: others starve",
        f"{_LUA}lib/let_in_turns.lua",
        "virtual(time + came / weight), tenant)",
        "virtual(time), tenant)",
        "tables",
    ),
)
