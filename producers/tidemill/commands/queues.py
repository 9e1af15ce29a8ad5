"""`tidemill queues`: look at queues, pause and empty them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Final, cast

import click

from tidemill.commands.ages import age_or_none
from tidemill.commands.root import Context, reporting
from tidemill.durability import LEVELS, Durability
from tidemill.limit_figures import LimitFigures
from tidemill.wire.scripts import QueueFigures

LIMITS: Final = ("limit", "limit_bytes", "limit_age_ms")


@click.group()
def queues() -> None:
    """Look at queues, pause them, empty them, limit them."""


@queues.command("list")
@reporting
def list_queues(context: Context) -> None:
    """List the queues with their depths."""
    found = context.mill.inspect.queues()
    context.print([figures_of(queue) for queue in found], lambda: table(found))


@queues.command()
@click.argument("name")
@reporting
def pause(context: Context, name: str) -> None:
    """Let workers take nothing more from a queue; what runs goes on, and jobs can still be enqueued."""
    context.mill.inspect.pause(name)
    context.print({"queue": name, "paused": True}, lambda: f"{name} is paused")


@queues.command()
@click.argument("name")
@reporting
def resume(context: Context, name: str) -> None:
    """End a pause."""
    context.mill.inspect.resume(name)
    context.print({"queue": name, "paused": False}, lambda: f"{name} is open")


@queues.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@reporting
def purge(context: Context, name: str, yes: bool) -> None:
    """Cancel every job of a queue that has not started."""
    if not yes and context.json:
        raise click.UsageError("with --json nobody is asked: say --yes")
    if not yes:
        click.confirm(f"Cancel all waiting jobs of {name}?", abort=True)
    cancelled = context.mill.inspect.purge(name)
    context.print({"queue": name, "cancelled": cancelled}, lambda: f"{cancelled} jobs of {name} were cancelled")


@queues.command()
@click.argument("name")
@click.argument("jobs", type=click.IntRange(0), default=0)
@click.option("--bytes", "size_bytes", type=click.IntRange(1), help="Of the arguments of all jobs in the queue.")
@click.option("--age", callback=age_or_none, help="For which the oldest ready job has waited, as 30s or 5m.")
@reporting
def limit(context: Context, name: str, jobs: int, size_bytes: int | None, age: timedelta | None) -> None:
    """Refuse new jobs while this many wait or run in the queue (0: any number), or by another limit.

    All limits of the queue are set at once: one that is not named is none.
    """
    context.mill.inspect.limit(name, jobs or None, size_bytes=size_bytes, age_seconds=age)
    age_ms = None if age is None else int(age.total_seconds() * 1000)
    limits = {"limit": jobs or None, "limit_bytes": size_bytes, "limit_age_ms": age_ms}
    context.print({"queue": name, **limits}, lambda: f"{name}: {_limits_in_words(limits)}")


def _limits_in_words(limits: Mapping[str, int | None]) -> str:
    jobs, size_bytes, age_ms = limits.values()
    parts = [
        f"jobs ≤ {jobs}" if jobs else "",
        f"bytes ≤ {size_bytes}" if size_bytes else "",
        f"age ≤ {age_ms // 1000} s" if age_ms else "",
    ]
    return ", ".join(filter(None, parts)) or "no limit"


@queues.command()
@click.argument("name")
@click.option("--rate", help='So many jobs start, as "100/s" or "100/s burst 20".')
@click.option("--concurrency", type=click.IntRange(1), help="So many jobs run at once.")
@reporting
def throttle(context: Context, name: str, rate: str | None, concurrency: int | None) -> None:
    """Limit what all workers together start of a queue; new jobs are taken in all the same.

    Both limits are set at once: one that is not named is none.
    """
    context.mill.inspect.throttle(name, rate, concurrency)
    limits = {"rate": rate, "concurrency": concurrency}
    words = ", ".join(f"{what} ≤ {value}" for what, value in limits.items() if value) or "no limit"
    context.print({"queue": name, **limits}, lambda: f"{name}: {words}")


@queues.command("limits")
@reporting
def show_limits(context: Context) -> None:
    """Show the rates and concurrencies of tasks and queues, and who waits for them."""
    found = context.mill.inspect.limits()
    context.print([asdict(one) for one in found], lambda: "\n".join(map(_limit_in_words, found)) or "no limits")


def _limit_in_words(one: LimitFigures) -> str:
    most = f"{one.most} at once" if one.interval_ms is None else f"one in {one.interval_ms:g} ms, burst {one.most}"
    lines = f" in {one.lines} lines" if one.lines > 1 else ""
    return f"{one.name}  {one.kind}: {most}  used {one.used}  waiting {one.waiting}{lines}"


@queues.command("tenants")
@click.argument("name")
@click.option("--limit", "most", type=click.IntRange(1, 10_000), default=100, help="So many at most.")
@reporting
def list_tenants(context: Context, name: str, most: int) -> None:
    """List the tenants that wait for their turn in a queue, those with most jobs first."""
    found = context.mill.inspect.tenants(name, most)
    rows = [
        f"{one.digest:<16} {one.waiting:>9} {one.limit or '':>9} {one.weight:>6g}  {one.name}".rstrip() for one in found
    ]
    heads = f"{'tenant':<16} {'waiting':>9} {'limit':>9} {'weight':>6}"
    context.print([asdict(one) for one in found], lambda: "\n".join([heads, *rows]) if rows else "no tenant waits")


@queues.command("weight")
@click.argument("name")
@click.argument("tenant")
@click.argument("weight", type=float)
@reporting
def set_weight(context: Context, name: str, tenant: str, weight: float) -> None:
    """Choose what a tenant gets of a queue, against the 1 of the others; 1 forgets what was set.

    TENANT "" stands for the jobs without one.
    """
    context.mill.inspect.weight(name, tenant or None, None if weight == 1 else weight)
    context.print({"queue": name, "tenant": tenant, "weight": weight}, lambda: f"{name}: {tenant} weighs {weight:g}")


@queues.command("tenant-limit")
@click.argument("name")
@click.argument("jobs", type=click.IntRange(0), default=0)
@click.option("--tenant", help="Only this one, whatever the limit of each is.")
@reporting
def tenant_limit(context: Context, name: str, jobs: int, tenant: str | None) -> None:
    """Refuse new jobs of a tenant while this many wait for their turn (0: any number)."""
    context.mill.inspect.tenant_limit(name, jobs or None, tenant)
    whose = tenant or "each tenant"
    told = f"{name}: {whose} ≤ {jobs} jobs" if jobs else f"{name}: no limit of {whose}"
    context.print({"queue": name, "tenant": tenant, "limit": jobs or None}, lambda: told)


@queues.command("durability")
@click.argument("name")
@click.argument("level", type=click.Choice(LEVELS))
@reporting
def set_durability(context: Context, name: str, level: str) -> None:
    """Choose what an enqueue waits for: aof (default), fsync (the server's disk) or replicated (all its replicas)."""
    context.mill.inspect.durability(name, cast(Durability, level))
    context.print({"queue": name, "durability": level}, lambda: f"{name}: {level}")


def figures_of(queue: QueueFigures) -> dict[str, object]:
    """A queue's figures as plain data."""
    return {
        "queue": queue.queue,
        "scheduled": queue.scheduled,
        "ready": queue.waiting,
        "ready_by_priority": queue.ready,
        "running": queue.running,
        "dead": queue.dead,
        "finished": queue.finished,
        "oldest_ready_ms": queue.oldest_ready_ms,
        "paused": "paused" in queue.counters,
        **{name: int(queue.counters[name]) if name in queue.counters else None for name in LIMITS},
        "durability": queue.counters.get("durability", "aof"),
        "succeeded": int(queue.counters.get("succeeded", 0)),
        "retried": int(queue.counters.get("retried", 0)),
        "recovered": int(queue.counters.get("recovered", 0)),
        "shed": int(queue.counters.get("shed", 0)),
        "buried": int(queue.counters.get("dead", 0)),
    }


def table(queues_found: list[QueueFigures]) -> str:
    """Queues as lines for people."""
    if not queues_found:
        return "no queues"
    heads = ("queue", "scheduled", "ready", "running", "dead", "finished", "succeeded", "retried", "")
    rows = [
        (
            figures["queue"],
            figures["scheduled"],
            figures["ready"],
            figures["running"],
            figures["dead"],
            figures["finished"],
            figures["succeeded"],
            figures["retried"],
            _remarks(queue),
        )
        for queue, figures in zip(queues_found, map(figures_of, queues_found), strict=True)
    ]
    width = max(len("queue"), *(len(str(row[0])) for row in rows))
    lines = [f"{name!s:<{width}}" + "".join(f" {cell!s:>10}" for cell in cells) for name, *cells in (heads, *rows)]
    return "\n".join(line.rstrip() for line in lines)


def _remarks(queue: QueueFigures) -> str:
    return " ".join(["paused"] * ("paused" in queue.counters) + [queue.counters.get("durability", "")]).strip()
