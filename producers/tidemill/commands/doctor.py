"""`tidemill doctor`: is anything lost, left over, or in the wrong place?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from tidemill.commands.root import Context, json_option, pass_context, url_option

if TYPE_CHECKING:
    from tidemill.doctor import Finding, Report

# Something was found, and is not repaired: see the table in root.py.
FOUND_EXIT_CODE: Final = 6
# Lines printed for people; --json has all.
_MOST_LINES: Final = 100


@click.command()
@click.option("--repair", is_flag=True, help="Mend what is found; without it nothing is changed.")
@url_option
@json_option
@pass_context
def doctor(context: Context, repair: bool) -> None:
    """Find jobs, locks, tickets and workers that were lost or left over. Safe while everything runs.

    Exits with 6 when something was found that is not repaired.
    """
    report = context.mill.doctor(repair=repair)
    context.print(report.as_data(), lambda: _text(report))
    if report.left:
        click.get_current_context().exit(FOUND_EXIT_CODE)


def _text(report: Report) -> str:
    looked_at = f"{report.keys} keys, {report.records} jobs, {report.tickets} tickets in {report.seconds:.1f} s"
    if report.healthy:
        return f"nothing is wrong: looked at {looked_at}"
    lines = [_line(one) for one in report.findings[:_MOST_LINES]]
    if len(report.findings) > _MOST_LINES:
        lines.append(f"and {len(report.findings) - _MOST_LINES} more: --json has them all")
    repaired = len(report.findings) - len(report.left)
    counts = ", ".join(f"{count} {kind}" for kind, count in report.counts.items())
    return "\n".join([*lines, "", f"found {counts}; repaired {repaired}; looked at {looked_at}"])


def _line(found: Finding) -> str:
    what = "repaired" if found.repaired else "to do"
    subject = f" {found.subject}" if found.subject and not found.key.endswith(found.subject) else ""
    return f"{found.key}{subject}\n    {found.seen}\n    {what}: {found.repair}"
