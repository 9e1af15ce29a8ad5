"""The figures of a chaos run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from chaos.checker import Violation
from chaos.reading import History

# So many of the slowest recoveries are told one by one: of a few dozen, they are what a p99 is made of.
_SLOWEST: Final = 3


@dataclass(slots=True)
class Outcome:
    """All that a run has shown. `remarks`: what is wrong with the server or the processes afterwards."""

    seed: int
    server: str
    lease_seconds: float
    seconds: float
    history: History
    faults: Mapping[str, int]
    violations: list[Violation]
    remarks: list[str]
    drain_seconds: float = 0.0
    missed_events: int = 0
    sometimes: Counter[str] = field(default_factory=Counter[str])
    memory: str = ""


def percentiles(values: Sequence[float]) -> str:
    """p50, p99 and the maximum, in seconds."""
    if not values:
        return "none"
    ordered = sorted(values)
    half, high = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return f"p50 {half:.2f} s, p99 {high:.2f} s, max {ordered[-1]:.2f} s ({len(ordered)})"


@dataclass(frozen=True, slots=True)
class Recovery:
    """From the last sign of life of an attempt whose process was hit, to the start of the next attempt. `net_seconds`:
    without the time in which the server was out of reach, or all schedulers or all workers were away."""

    job: str
    kind: str
    seconds: float
    net_seconds: float
    hit: str
    meanwhile: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.seconds:.2f} s, net {self.net_seconds:.2f} s: a {self.kind} job, after {self.hit}; "
            f"meanwhile {', '.join(self.meanwhile) or 'nothing'}"
        )


def recoveries(history: History) -> list[Recovery]:
    found: list[Recovery] = []
    for job, executions in history.executions.items():
        for earlier, later in pairwise(executions):
            hit = history.hit(earlier, later.began)
            if hit is not None and earlier.tries == later.tries and later.began > hit[0]:
                seconds = later.began - hit[0]
                net_seconds = seconds - history.away_seconds(hit[0], later.began)
                meanwhile = tuple(history.faults_between(hit[0], later.began))
                found.append(Recovery(job, history.orders[job].kind, seconds, net_seconds, hit[1], meanwhile))
    return found


def lateness(history: History) -> list[float]:
    """From the due time to the first start, of delayed jobs that never failed."""
    found: list[float] = []
    for job, order in history.orders.items():
        executions, due = history.executions.get(job), history.records.get(job, {}).get("due")
        if order.kind == "delayed" and executions and due:
            found.append(min(one.began for one in executions) - int(due) / 1000)
    return found


def report(outcome: Outcome) -> Iterator[str]:
    """The lines to print."""
    history = outcome.history
    orders = history.orders.values()
    acked = sum(order.is_acked for order in orders)
    refused = sum(order.is_refused for order in orders)
    states = Counter(str(history.final_state(job)) for job in history.jobs)
    executions = sum(map(len, history.executions.values()))
    again = executions - len(history.executions)
    by_invariant = Counter(violation.invariant for violation in outcome.violations)
    yield f"server {outcome.server}, seed {outcome.seed}, {outcome.seconds:g} s, lease {outcome.lease_seconds:g} s"
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.faults.items()))
    yield f"faults            {sum(outcome.faults.values())}: {kinds}"
    yield f"jobs              {len(orders)}: {acked} acknowledged, {refused} refused, the rest unknown or not made"
    yield f"ended             {_counted(states)}"
    yield f"executions        {executions}, {again} of them again ({_counted(_again(history))})"
    yield f"lost              {by_invariant['I1']}"
    yield f"terminal twice    {by_invariant['I4'] + by_invariant['I5']}"
    effects = len(history.effect_files)
    yield f"effects           {effects}, made twice {by_invariant['I8']}, absorbed {history.absorbed_effects}"
    yield f"early starts      {by_invariant['I3']}; lateness {percentiles(lateness(history))}"
    yield f"healthy, buried   {by_invariant['I10']}"
    again_after = recoveries(history)
    yield f"recovery          {percentiles([one.net_seconds for one in again_after])}"
    # A suspect runs alone, so it waits until a worker is idle: that is no recovery that is late.
    healthy = [one.net_seconds for one in again_after if one.kind != "poison"]
    yield f"  but for poison  {percentiles(healthy)}"
    yield f"  with outages    {percentiles([one.seconds for one in again_after])}"
    for one in sorted(again_after, key=lambda one: -one.seconds)[:_SLOWEST]:
        yield f"  among slowest   {one}"
    yield f"drained           {outcome.drain_seconds:.1f} s after the last fault; events missed {outcome.missed_events}"
    yield f"memory            {outcome.memory}"
    yield f"logged            {_counted(history.logged)}"
    yield f"sometimes         {_counted(outcome.sometimes)}"
    for remark in outcome.remarks:
        yield f"WRONG             {remark}"
    for violation in outcome.violations[:40]:
        yield f"VIOLATION         {violation}"
    if len(outcome.violations) > 40:
        yield f"VIOLATION         and {len(outcome.violations) - 40} more"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "nothing"


def _again(history: History) -> Counter[str]:
    """Why jobs ran again."""
    found: Counter[str] = Counter()
    for executions in history.executions.values():
        for earlier, later in pairwise(executions):
            if earlier.tries < later.tries:
                found["retried"] += 1
            else:
                hit = history.hit(earlier, later.began)
                found[f"after {hit[1].split(' by ')[0]}" if hit else "after a lost lease or a stop"] += 1
    return found


def seen_sometimes(history: History, network_counts: Mapping[str, int]) -> Counter[str]:
    """What a run of some length must have reached; 0: the nemesis does not come to that branch."""
    orders = history.orders.values()
    found = Counter(network_counts)
    found["fenced"] = history.logged["job.fenced"]
    found["lease lost"] = history.logged["lease.lost"]
    found["recovered"] = history.logged["job.recovered"]
    found["released"] = history.logged["job.released"]
    found["buried as worker_lost"] = sum(
        order.kind == "poison" and history.final_state(order.job) == "dead" for order in orders
    )
    found["unknown outcome"] = sum(order.unknown for order in orders)
    found["sent again"] = sum(order.asked > 1 for order in orders)
    found["refused: full"] = history.refusals["QueueFull"]
    found["refused: unavailable"] = history.refusals["ServerUnavailable"]
    found["unique key was held"] = sum(bool(order.answers - {order.job}) for order in orders)
    found["cancelled while it ran"] = sum("running" in order.cancel_answers for order in orders)
    found["expired"] = sum(history.final_state(order.job) == "expired" for order in orders)
    found["effect absorbed"] = history.absorbed_effects
    return found
