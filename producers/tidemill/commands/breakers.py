"""`tidemill breakers`: look at circuit breakers, open and close them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import click

from tidemill.breakers.facade import HAND_SECONDS, BreakerInfo
from tidemill.commands.ages import age
from tidemill.commands.root import Context, hand_options, reporting


@click.group()
def breakers() -> None:
    """Look at circuit breakers, open and close them by hand."""


@breakers.command("list")
@reporting
def list_breakers(context: Context) -> None:
    """List the breakers that have changed within a day."""
    found = context.mill.breakers.list()
    context.print([figures_of(breaker) for breaker in found], lambda: table(found))


@breakers.command()
@click.argument("name")
@reporting
def show(context: Context, name: str) -> None:
    """Show one breaker; one that nobody has heard of is closed."""
    found = context.mill.breakers.show(name)
    context.print(figures_of(found), lambda: table([found]))


@breakers.command("open")
@click.argument("name")
@click.option(
    "--for",
    "duration",
    callback=age,
    default=f"{HAND_SECONDS / 3600:.0f}h",
    show_default=True,
    help="Until probes are let through: 90s, 15m, 12h.",
)
@hand_options
@reporting
def open_breaker(context: Context, name: str, duration: timedelta, by: str | None, reason: str) -> None:
    """Let no calls through, and park the jobs that declare it."""
    found = context.mill.breakers.open(name, duration=duration, by=by, reason=reason)
    context.print(figures_of(found), lambda: f"{name} is open for {found.retry_after:.0f} s")


@breakers.command("close")
@click.argument("name")
@hand_options
@reporting
def close_breaker(context: Context, name: str, by: str | None, reason: str) -> None:
    """Let all calls through, whatever has opened it; parked jobs come back."""
    found = context.mill.breakers.close(name, by=by, reason=reason)
    context.print(figures_of(found), lambda: f"{name} is closed")


def figures_of(breaker: BreakerInfo) -> dict[str, object]:
    """A breaker as plain data."""
    return {
        "breaker": breaker.name,
        "state": breaker.state,
        "retry_after_s": breaker.retry_after,
        "reason": breaker.reason,
        "openings": breaker.openings,
        "passed": breaker.passed,
        "probing": breaker.probing,
        "changed": breaker.changed.isoformat() if breaker.changed else None,
    }


def table(found: Sequence[BreakerInfo]) -> str:
    """Breakers as lines for people."""
    if not found:
        return "no breaker has changed within a day"
    width = max(len("breaker"), *(len(breaker.name) for breaker in found))
    lines = [f"{'breaker':<{width}}  {'state':<10} {'reason':<11} {'openings':>8} {'probing':>8} {'retry after':>12}"]
    for one in found:
        wait = f"{one.retry_after:.1f} s" if one.state == "open" else ""
        lines.append(
            f"{one.name:<{width}}  {one.state:<10} {one.reason:<11} {one.openings:>8} {one.probing:>8} {wait:>12}"
        )
    return "\n".join(line.rstrip() for line in lines)
