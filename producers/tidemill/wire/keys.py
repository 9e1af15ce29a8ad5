"""Every key that Tidemill has in Redis, with its type, its owner (who makes it) and its end (who removes it).

| key | type | what | owner | end |
| --- | --- | --- | --- | --- |
| `job:<id>` | hash | the record, the only truth: see `record.py` | enqueue | retention: `result_ttl` and count |
| `wheel:<queue>` | zset | id → due ms: delayed jobs, retries, parked jobs | enqueue, retry, park | promote, cancel |
| `agenda` | zset | queue, or line:<limit> → when to look at its wheel, or line, ms | enqueue, retry | promote, admit |
| `ready:<queue>:<lane>` | stream | tickets: ids to run now | enqueue, promote | XDEL at settlement; the key: never |
| `turns:<queue>:<lane>` | zset | tenant that waits → virtual time of its next job; "" → now | enqueue, promote | take |
| `tenant:<queue>:<lane>:<tenant>` | zset | id → when it came, ms: waits for a turn | enqueue, promote | take, cancel |
| `tenants:<queue>` | hash | weights, limits and names of tenants | configure | lives with the installation |
| `dead:<queue>` | zset | id → when it died, ms | bury | sweep: by age and count |
| `done:<queue>` | zset | id → when to drop it, ms | complete, cancel, expire | sweep; by count at once |
| `parked:<task>` | zset | id → when parked, ms, for want of a worker that knows the task | park | promote, adopt |
| `limits` | hash | task → what its limits allow, as workers declared it | register | lives with the installation |
| `limit:<limit>` | string | of a rate: when its next job is expected, µs | take | TTL: when all of its burst is free |
| `permits:<limit>` | zset | id → when it took its permit of a concurrency, ms | take | whatever ends the run |
| `line:<limit>` | zset | id → its first arrival: who waits for the limit, ms·1000 + n | take, enqueue | admit, cancel |
| `called:<limit>` | zset | id → when it was let in, ms: not yet taken | admit, complete, take | take, cancel, expire |
| `expiring` | zset | id → when it expires unstarted, ms | enqueue, retry, release | take, expire, cancel |
| `unique:<digest>` | string | id of the job that holds the unique key | enqueue | the end of that job |
| `once:<digest>` | hash | marker of an effect, and its result | apply_effect, begin_effect | TTL, of `once` |
| `queues` | set | names of all queues | enqueue, register | lives with the installation |
| `watched` | zset | queue → when to look at its limits, ms: over one, or limited by age | enqueue, configure | shed |
| `queue:<queue>` | hash | settings (limit, paused, …) and counters | enqueue, register | lives with the installation |
| `tasks` | hash | task → its default queue, as workers declared it | register | lives with the installation |
| `workers` | zset | incarnation → end of its lease, ms | register, renew | retire |
| `departed` | zset | incarnation → when it left, ms: its last read may be open | retire | retire, a minute later |
| `worker:<incarnation>` | hash | host, pid, queues, tasks | register | retire, or 10 leases after its last renewal |
| `recurring` | hash | name → definition of a recurring job | declare | undeclare |
| `occurrences` | zset | name → next occurrence, ms | declare, tick | undeclare |
| `events` | stream | about the last thousand batches of transitions | every settling script | capped |
| `audit` | stream | about the last five thousand actions by hand: who, why, to which jobs | requeue, discard | capped |
| `breaker:<name>` | hash | a circuit breaker, and permits of its probes | trip_breaker | a day after its last change |
| `breakers` | zset | name → end of its hash, ms | as `breaker:` | as `breaker:` |
| `templates` | set | names of all job templates | publish_template | lives with the installation |
| `template:<name>` | hash | what is current of a template, and its versions | publish_template | as `templates` |
| `content:<name>:<number>` | string | a version's content, immutable | publish_template | retirement: TTL |
| `versions:<name>` | zset | number → number: those not retired | publish_template | retirement |
| `retired:<name>` | zset | number → when its content ends, ms | retire_template | a later change of the template |
| `hot:<day>` | zset | template:number → uses in that day | report_uses | TTL: two days |
| `hits:<hour>` | hash | `u:` uses, `h:` hits of template:number in that hour | report_uses | TTL: two hours |

The agenda is never late: a queue whose wheel has jobs stands in it no later than its earliest due time, or now. It may
be early, after a cancellation: promote finds nothing due then, and sets it right.

Channels (sharded pub/sub): `alarm` wakes schedulers, `control` tells workers of cancellations and paused queues,
`waiter:<id>` tells a process that a job it waits for is over, `breakers` tells all that use breakers of a change,
`templates` tells workers of a change of a template.

`<limit>` is `r` (a rate) or `c` (a concurrency) and a digest of its name and key, or `q.` and the queue whose it is.

A READY job of a queue that has seen a tenant stands in its tenant's line, until it is let in; then it has a ticket, as
others have at once: see `lua/lib/turns.lua`.

All carry the prefix `tm:{S}:` (S = the shard), so that one script can touch them on a cluster. Text from users (unique
keys, tenants) is hashed; names in keys match `^[a-z0-9_.-]{1,64}$` or the task rule, so that no name can change a slot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

LANES = ("high", "normal", "low")
GROUP = "tidemill"
# What the entries of the agenda begin with that are lines, and not queues.
LINE = "line:"
# The first two columns of the table, for programs.
TYPES: Final[Mapping[str, str]] = {
    "job:<id>": "hash",
    "wheel:<queue>": "zset",
    "agenda": "zset",
    "ready:<queue>:<lane>": "stream",
    "turns:<queue>:<lane>": "zset",
    "tenant:<queue>:<lane>:<tenant>": "zset",
    "tenants:<queue>": "hash",
    "dead:<queue>": "zset",
    "done:<queue>": "zset",
    "parked:<task>": "zset",
    "limits": "hash",
    "limit:<limit>": "string",
    "permits:<limit>": "zset",
    "line:<limit>": "zset",
    "called:<limit>": "zset",
    "expiring": "zset",
    "unique:<digest>": "string",
    "once:<digest>": "hash",
    "queues": "set",
    "watched": "zset",
    "queue:<queue>": "hash",
    "tasks": "hash",
    "workers": "zset",
    "departed": "zset",
    "worker:<incarnation>": "hash",
    "recurring": "hash",
    "occurrences": "zset",
    "events": "stream",
    "audit": "stream",
    "breaker:<name>": "hash",
    "breakers": "zset",
    "templates": "set",
    "template:<name>": "hash",
    "content:<name>:<number>": "string",
    "versions:<name>": "zset",
    "retired:<name>": "zset",
    "hot:<day>": "zset",
    "hits:<hour>": "hash",
}


class Keys:
    """The keys of one shard below one prefix."""

    def __init__(self, prefix: str = "tm", shard: int = 0) -> None:
        self.root = f"{prefix}:{{{shard}}}:"
        self.agenda = f"{self.root}agenda"
        self.expiring = f"{self.root}expiring"
        self.queues = f"{self.root}queues"
        self.watched = f"{self.root}watched"
        self.tasks = f"{self.root}tasks"
        self.limits = f"{self.root}limits"
        self.workers = f"{self.root}workers"
        self.departed = f"{self.root}departed"
        self.recurring = f"{self.root}recurring"
        self.occurrences = f"{self.root}occurrences"
        self.events = f"{self.root}events"
        self.audit = f"{self.root}audit"
        self.alarm = f"{self.root}alarm"
        self.control = f"{self.root}control"
        self.breakers = f"{self.root}breakers"  # the index, and the channel
        self.templates = f"{self.root}templates"  # the names, and the channel

    def job(self, job_id: str) -> str:
        return f"{self.root}job:{job_id}"

    def wheel(self, queue: str) -> str:
        return f"{self.root}wheel:{queue}"

    def ready(self, queue: str, lane: str) -> str:
        return f"{self.root}ready:{queue}:{lane}"

    def lanes(self, queue: str) -> tuple[str, str, str]:
        """The ready streams of a queue: high, normal, low."""
        return self.ready(queue, "high"), self.ready(queue, "normal"), self.ready(queue, "low")

    def streams(self, queues: Sequence[str]) -> list[str]:
        """The ready streams of queues, those of each together."""
        return [stream for queue in queues for stream in self.lanes(queue)]

    def turns(self, queue: str, lane: str) -> str:
        return f"{self.root}turns:{queue}:{lane}"

    def tenant_line(self, queue: str, lane: str, tenant: str) -> str:
        return f"{self.root}tenant:{queue}:{lane}:{tenant}"

    def tenants(self, queue: str) -> str:
        return f"{self.root}tenants:{queue}"

    def dead(self, queue: str) -> str:
        return f"{self.root}dead:{queue}"

    def done(self, queue: str) -> str:
        return f"{self.root}done:{queue}"

    def parked(self, task: str) -> str:
        return f"{self.root}parked:{task}"

    def line(self, limit: str) -> str:
        return f"{self.root}line:{limit}"

    def called(self, limit: str) -> str:
        return f"{self.root}called:{limit}"

    def permits(self, limit: str) -> str:
        return f"{self.root}permits:{limit}"

    def limit(self, limit: str) -> str:
        return f"{self.root}limit:{limit}"

    def once(self, digest: str) -> str:
        return f"{self.root}once:{digest}"

    def unique(self, digest: str) -> str:
        return f"{self.root}unique:{digest}"

    def queue(self, queue: str) -> str:
        return f"{self.root}queue:{queue}"

    def worker(self, incarnation: str) -> str:
        return f"{self.root}worker:{incarnation}"

    def breaker(self, name: str) -> str:
        return f"{self.root}breaker:{name}"

    def template(self, name: str) -> str:
        return f"{self.root}template:{name}"

    def content(self, name: str, number: int) -> str:
        return f"{self.root}content:{name}:{number}"

    def waiter(self, waiter: str) -> str:
        return f"{self.root}waiter:{waiter}"

    @staticmethod
    def limit_name(kind: str, scope: str, key: str) -> str:
        """`kind`: r (rate) or c (concurrency). Twenty hex characters: user text never stands in a key of Redis.

        Two names that share one would share a limit; with a million of them the chance is one in a trillion.
        """
        return kind + blake2b(f"{scope}\0{key}".encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()

    @staticmethod
    def digest(task: str, unique: str) -> str:
        """The unique key of a task as 32 hex characters: user text never stands in a key of Redis."""
        return blake2b(f"{task}\0{unique}".encode(), digest_size=16).hexdigest()

    @staticmethod
    def tenant(name: str) -> str:
        """A tenant as 16 hex characters, since a record carries it; "": "-", the jobs without one."""
        return blake2b(name.encode(), digest_size=8).hexdigest() if name else "-"
