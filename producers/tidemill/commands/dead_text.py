"""Dead letters and their history as plain data, and as lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from tidemill.commands.jobs import details_of
from tidemill.dead_letters import BulkResult, DeadLetter, DeadLetterPage, HandAction, JobHistory

Arguments = tuple[list[object], dict[str, object]]

# Ids that a line shows; --json has all.
_MOST_IDS: Final = 3
# What is said of letters that were not retried or removed, by the answer of the server.
_WHY_SKIPPED: Final = {
    "conflict": "whose unique key another job holds",
    "changed": "that have died again meanwhile",
    "corrupt": "whose record can't be run",
    "full": "whose queue was at a limit",
    "": "that were gone",
}


def letter(one: DeadLetter) -> dict[str, object]:
    """As plain data."""
    data = asdict(one)
    data["died"] = _time(data.pop("died_ms"))
    return data


def page(found: DeadLetterPage) -> str:
    lines = [
        f"{one.id}  {_time(one.died_ms)}  {one.queue}  {one.task}  attempt {one.attempt}"
        f"  {' '.join(f'{one.error}: {one.message}'.split())[:100]}"
        for one in found.letters
    ]
    if found.cursor is not None:
        lines.append(f"there may be more: --cursor {found.cursor}")
    return "\n".join(lines) or "no dead letters"


def table_of_counts(found: dict[str, int]) -> str:
    lines = [f"{count:>8}  {error or '(no error was recorded)'}" for error, count in found.items()]
    return "\n".join(lines) or "no dead letters"


def history(found: JobHistory, arguments: Arguments | None) -> dict[str, object]:
    """As plain data."""
    data: dict[str, object] = {
        "job": details_of(found.record) if found.record else None,
        "actions": [asdict(one) for one in found.actions],
        "events": [{"event": one.name, "at": _time(one.at_ms)} for one in found.events],
    }
    if arguments is not None:
        data["arguments"] = {"args": arguments[0], "kwargs": arguments[1]}
    return data


def history_lines(found: JobHistory, arguments: Arguments | None) -> str:
    about = details_of(found.record) if found.record else {"id": found.job_id, "record": "removed"}
    lines = [f"{name:<12} {value}" for name, value in about.items()]
    if arguments is not None:
        lines += [f"{'args':<12} {arguments[0]!r}", f"{'kwargs':<12} {arguments[1]!r}"]
    lines += ["", "by hand:", *(f"  {_action(one)}" for one in found.actions)] if found.actions else []
    lines += ["", "events:", *(f"  {_time(one.at_ms)}  {one.name}" for one in found.events)] if found.events else []
    return "\n".join(lines)


def actions(found: Sequence[HandAction]) -> str:
    return "\n".join(f"{_action(one)}  {_ids(one.jobs)}" for one in found) or "nothing was done by hand"


def bulk(verb: str, done: int, result: BulkResult | None, operation: str) -> str:
    """`result`: None when it was interrupted."""
    if result is None:
        return f"interrupted: {verb} {done} dead letters; say the same again to go on (operation {operation})"
    skipped = [f"{count} {_WHY_SKIPPED.get(why, f'that were {why}')}" for why, count in result.skipped.items()]
    rest = f"; left {', '.join(skipped)}" if skipped else ""
    return f"{verb} {done} of {result.matched} dead letters{rest} (operation {operation})"


def _action(one: HandAction) -> str:
    why = f" because {one.reason}" if one.reason else ""
    which = f"  [{one.filter}]" if one.filter else ""
    return f"{_time(one.at_ms)}  {one.action} of {len(one.jobs)} by {one.by}{why}{which}"


def _ids(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else ""
    return " ".join(ids[:_MOST_IDS]) + more


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
