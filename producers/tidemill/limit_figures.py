"""How limits are used, and who waits for them: what the command line and dashboards show."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tidemill.client import Batch
from tidemill.wire.keys import Keys

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

_PAGE: Final = 1_000
# Of keyed limits so many lines are looked at: a figure for people must not cost a busy server much.
_MOST_LINES: Final = 1_000


@dataclass(slots=True)
class LimitFigures:
    """A rate or a concurrency. `name`: of the task, the queue or the `Limit` whose it is.

    most: how many run at once; of a rate, how many may start at once (its burst), with `interval_ms` for each.
    used: of that now; of a limit by key only those without one.
    waiting: jobs in its lines, which are so many: more than one if it is by key.
    next_look_ms: unix time at which the first of the lines is looked at; None: nobody waits.
    """

    name: str
    kind: Literal["rate", "concurrency"]
    most: int
    interval_ms: float | None = None
    used: int = 0
    waiting: int = 0
    lines: int = 0
    next_look_ms: int | None = None


def figures(client: Client) -> Operation[list[LimitFigures]]:
    """All that workers have declared, and those of queues, by name."""
    scripts, found = client.scripts, dict[tuple[str, str], LimitFigures]()
    by_name: dict[str, LimitFigures] = {}
    tasks: dict[str, str] = yield scripts.declared_limits()
    for one in (read for allowed in tasks.values() for read in _read(allowed)):
        known = found.setdefault((one.name, one.kind), one)
        by_name |= {Keys.limit_name(one.kind[0], f"{scope}\0{one.name}", ""): known for scope in ("task", "limit")}
    queues: list[str] = yield scripts.queue_names()
    settings: list[tuple[str, str]] = yield Batch([scripts.queue_limits(queue) for queue in queues])
    for queue, (rate, concurrency) in zip(queues, settings, strict=True):
        words = [f"r{rate}:{queue}" if rate else "", f"c{concurrency}:{queue}" if concurrency else ""]
        for one in _read(" ".join(words)):
            by_name[f"{one.kind[0]}q.{queue}"] = found.setdefault((f"queue {queue}", one.kind), one)
            one.name = f"queue {queue}"
    yield from _use(client, by_name)
    yield from _wait(client, by_name, tasks, found)
    return sorted(found.values(), key=lambda one: (one.name, one.kind))


def _read(allowed: str) -> Iterator[LimitFigures]:
    for word in allowed.split():
        first, *more = word[1:].split(":")
        if word[0] == "c":
            yield LimitFigures(more[0], "concurrency", int(first))
        else:
            yield LimitFigures(more[1], "rate", int(more[0]), float(first) / 1000)


def _use(client: Client, by_name: dict[str, LimitFigures]) -> Operation[None]:
    """What is used of each, where it is not by key."""
    scripts = client.scripts
    now_ms: int = yield scripts.server_time()
    ask = [scripts.permits(name) if name[0] == "c" else scripts.expected_us(name) for name in by_name]
    answers: list[float] = yield Batch(ask)
    for one, answer in zip(by_name.values(), answers, strict=True):
        if one.interval_ms is None:
            one.used += int(answer)
        else:
            one.used += math.ceil(max(0.0, answer / 1000 - now_ms) / one.interval_ms)


def _wait(
    client: Client,
    by_name: dict[str, LimitFigures],
    tasks: dict[str, str],
    found: dict[tuple[str, str], LimitFigures],
) -> Operation[None]:
    """Who waits. A line of a key has no name of its own: the job at its head tells whose it is."""
    scripts, looks, cursor = client.scripts, dict[str, int](), ""
    while cursor != "0" and len(looks) < _MOST_LINES:
        cursor, page = yield scripts.lines(cursor or "0", _PAGE)
        looks |= page
    unknown = [name for name in looks if name not in by_name]
    heads: list[str] = yield Batch([scripts.first_in_line(name) for name in unknown])
    jobs: list[tuple[str, list[str]]] = yield Batch([scripts.limits_of(head) for head in heads])
    for name, (task, names) in zip(unknown, jobs, strict=True):
        allowed = list(_read(tasks.get(task, "")))
        if name in names and names.index(name) < len(allowed):
            one = allowed[names.index(name)]
            by_name[name] = found[one.name, one.kind]
    waiting: list[int] = yield Batch([scripts.waiting(name) for name in looks])
    for (name, look_ms), count in zip(looks.items(), waiting, strict=True):
        line = by_name.get(name)
        if line is not None and count:
            line.waiting += count
            line.lines += 1
            line.next_look_ms = look_ms if line.next_look_ms is None else min(line.next_look_ms, look_ms)
