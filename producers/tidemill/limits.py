"""Limits of tasks: how many of their jobs start in a time, and how many run at once, in the whole fleet.

A rate is kept by the generic cell rate algorithm (ITU-T I.371, annex A): within any time t no more start than t
times the rate, and one burst. A job that is refused waits in line, outside of any worker, and keeps its turn. See
docs/limits.md.

What a limit allows is declared by the workers of its task. Which limit a job counts against is told by who enqueues it,
since only he has its arguments at hand: the name of each, with its key, is hashed, and travels in the job's record.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from tidemill import validation
from tidemill.errors import InvalidInput
from tidemill.wire.keys import Keys

Key = str | Callable[..., object]
Cost = int | str | Callable[..., int]

_RATE: Final = re.compile(r"(\d{1,9})/(s|m|h|d)(?: burst (\d{1,9}))?")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_RULE: Final = 'as "100/s" or "100/s burst 20", with s, m, h or d for second, minute, hour or day'
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
# The server's clock counts milliseconds, and its script microseconds: more than this would be no longer exact.
_MOST_PER_SECOND: Final = 100_000
_MOST_AT_ONCE: Final = 1_000_000
# Each costs the server a few commands for every batch of jobs.
MOST_LIMITS: Final = 8
# Without a burst of its own a rate lets so much time's jobs start at once: then no second has more than 1 % too many.
_BURST_SECONDS: Final = 0.01
# From so many a second on the burst is two, so that a job that starts a moment late does not slow down all others.
_TWO_PER_SECOND: Final = 20
# A key is hashed, so its length costs nothing in Redis; this only bounds the work of hashing it.
_MOST_KEY_CHARS: Final = 4096


class Rate(NamedTuple):
    """`interval_us`: the time for one; `burst`: so many may start at once."""

    interval_us: float
    burst: int

    def packed(self) -> str:
        return f"{self.interval_us:.3f}".rstrip("0").rstrip(".") + f":{self.burst}"


def rate(name: str, value: object) -> Rate:
    """Reads a rate. Raises InvalidInput with the rule."""
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidInput(f"{name} {value!r} is not valid: it must be a text {_RULE}")
    count, seconds = int(found[1]), _SECONDS[found[2]]
    if not 1 <= count <= _MOST_PER_SECOND * seconds:
        raise InvalidInput(f"{name} {value!r} is not valid: 1 to {_MOST_PER_SECOND} for each second")
    least = 2 if count >= _TWO_PER_SECOND * seconds else 1
    burst = int(found[3]) if found[3] else max(least, int(count / seconds * _BURST_SECONDS))
    validation.whole(f"the burst of {name} {value!r}", burst, 1, _MOST_AT_ONCE)
    return Rate(seconds * 1e6 / count, burst)


def concurrency(name: str, value: object) -> int:
    """Checks how many may run at once. Raises InvalidInput."""
    return validation.whole(name, value, 1, _MOST_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that several tasks share, by its name: `@mill.task(limits=[Limit("payments-api", rate="100/s")])`.

    rate: "100/s", "100/s burst 20", or for a minute (m), an hour (h), a day (d): so many start. Without a burst: what
        comes in 10 ms, at least one, from 20/s on two.
    concurrency: so many run at once.
    key: the limit holds for each value of this argument (its name, or a function of all arguments) by itself.
    cost: what a job takes of the rate: a whole number, the name of an argument, or a function of all arguments.

    Raises InvalidInput. Tasks that share a name are to give it the same numbers: the one that was declared last counts.
    """

    name: str
    rate: str | None = None
    concurrency: int | None = None
    key: Key | None = None
    cost: Cost = 1

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise InvalidInput(
                f"the name {self.name!r} of a Limit is not valid: 1 to 128 of A-Z, a-z, 0-9, '_', '.', '-'"
            )
        if self.rate is None and self.concurrency is None:
            raise InvalidInput(f"Limit {self.name!r} limits nothing: give it a rate or a concurrency")
        found = None if self.rate is None else rate(f"the rate of Limit {self.name!r}", self.rate)
        if self.concurrency is not None:
            concurrency(f"the concurrency of Limit {self.name!r}", self.concurrency)
        if found is None and self.cost != 1:
            raise InvalidInput(f"the cost {self.cost!r} of Limit {self.name!r} is of its rate, and it has none")


class Arguments(Protocol):
    """The arguments of one job."""

    @property
    def args(self) -> tuple[object, ...]: ...
    @property
    def kwargs(self) -> Mapping[str, object]: ...


class _Part(NamedTuple):
    """A rate or a concurrency of a task. `scope`: what its name is made of; `key`, `cost`: of a job's arguments."""

    kind: str
    scope: str
    allowed: str
    key: Callable[..., object] | None
    cost: int | Callable[..., object]
    burst: int


class Limits:
    """The limits of one task. `allowed`: what they allow, as `lua/lib/limits.lua` reads it; `kinds`: r or c of each."""

    def __init__(self, task: str, parts: Sequence[_Part]) -> None:
        self._task = task
        self._parts = parts
        self.allowed: Final = " ".join(part.kind + part.allowed for part in parts)
        self.kinds: Final = "".join(part.kind for part in parts)
        is_constant = all(part.key is None and not callable(part.cost) for part in parts)
        self._constant = self._names((), {}) if is_constant else None

    def names(self, args: Sequence[object], kwargs: Mapping[str, object]) -> str:
        """The limits of a job with these arguments. Raises InvalidInput if its key or its cost is none."""
        return self._names(args, kwargs) if self._constant is None else self._constant

    def of_jobs(self, ids: Sequence[str], calls: Sequence[Arguments]) -> str | dict[str, str]:
        """Those of each job, or of all."""
        if self._constant is not None:
            return self._constant
        return {one: self._names(call.args, call.kwargs) for one, call in zip(ids, calls, strict=True)}

    def are_named(self, found: str) -> bool:
        """Does a record have a name for each? Not if who enqueued it did not know of them. (Those of its queue, behind
        the task's own, have a dot.)"""
        if found == self._constant:
            return True
        return "".join(name[0] for name in found.split() if "." not in name) == self.kinds

    def _names(self, args: Sequence[object], kwargs: Mapping[str, object]) -> str:
        return " ".join(self._name(part, args, kwargs) for part in self._parts)

    def _name(self, part: _Part, args: Sequence[object], kwargs: Mapping[str, object]) -> str:
        key = "" if part.key is None else _text(self._task, part.key(*args, **kwargs))
        name = Keys.limit_name(part.kind, part.scope, key)
        cost = part.cost(*args, **kwargs) if callable(part.cost) else part.cost
        if cost == 1 and not isinstance(cost, bool):
            return name
        if not isinstance(cost, int) or isinstance(cost, bool) or not 1 <= cost <= part.burst:
            raise InvalidInput(
                f"task {self._task}: the cost of a job is a whole number from 1 to the burst of its rate, which is "
                f"{part.burst}, not {cost!r}"
            )
        return f"{name}:{cost}"


def bind(
    task: str,
    function: Callable[..., Any],
    own: Sequence[Limit],
    shared: Sequence[Limit],
) -> Limits | None:
    """The limits of a task; None: it has none. `own`: those of this task alone. Raises InvalidInput."""
    parts: list[_Part] = []
    for limit, scope in (*((limit, "task") for limit in own), *((limit, "limit") for limit in shared)):
        parts += _parts(task, function, limit, f"{scope}\0{limit.name}")
    if len(parts) > MOST_LIMITS:
        raise InvalidInput(f"task {task} has {len(parts)} limits: at most {MOST_LIMITS}")
    names = [limit.name for limit in shared]
    if len(set(names)) < len(names):
        raise InvalidInput(f"task {task} has two limits of one name: {', '.join(names)}")
    return Limits(task, parts) if parts else None


def of_task(
    task: str,
    rate: object,
    rate_key: object,
    concurrency: object,
    concurrency_key: object,
    cost: object,
) -> list[Limit]:
    """The limits that `@mill.task` declares for a task alone. Raises InvalidInput."""
    made: list[Limit] = []
    for name, value, key in (("rate", rate, rate_key), ("concurrency", concurrency, concurrency_key)):
        if key is not None and value is None:
            raise InvalidInput(f"task {task}: {name}_key={key!r} has no {name}: say {name}= as well, or leave it out")
    if rate is None and cost != 1:
        raise InvalidInput(
            f"task {task}: cost={cost!r} is what a job takes of a rate: say rate= as well, or leave it out"
        )
    anything: Any = (rate, rate_key, concurrency, concurrency_key, cost)
    if rate is not None:
        made.append(Limit(task, rate=anything[0], key=anything[1], cost=anything[4]))
    if concurrency is not None:
        made.append(Limit(task, concurrency=anything[2], key=anything[3]))
    return made


def _parts(task: str, function: Callable[..., Any], limit: Limit, scope: str) -> list[_Part]:
    key = None if limit.key is None else _picker(task, "key", function, limit.key)
    parts: list[_Part] = []
    if limit.rate is not None:
        found = rate("rate", limit.rate)
        cost = limit.cost
        if isinstance(cost, int) and not isinstance(cost, bool):
            if not 1 <= cost <= found.burst:
                raise InvalidInput(
                    f"task {task}: cost={cost!r} is not 1 to the burst of its rate {limit.rate!r}, which is "
                    f"{found.burst}: a job would never start; say {_with_burst(limit.rate, cost)!r}"
                )
            taken: int | Callable[..., object] = cost
        else:
            taken = _picker(task, "cost", function, cost)
        parts.append(_Part("r", scope, f"{found.packed()}:{limit.name}", key, taken, found.burst))
    if limit.concurrency is not None:
        parts.append(_Part("c", scope, f"{limit.concurrency}:{limit.name}", key, 1, 1))
    return parts


def _with_burst(rate: str, cost: int) -> str:
    return f"{rate.partition(' ')[0]} burst {max(cost, 1)}"


def _picker(task: str, what: str, function: Callable[..., Any], wanted: object) -> Callable[..., object]:
    """A function of a job's arguments: the one that was given, or one that picks the argument of that name."""
    if callable(wanted):
        return wanted
    signature = inspect.signature(function)
    parameters = signature.parameters.values()
    names = [one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    if not isinstance(wanted, str) or wanted not in names:
        raise InvalidInput(
            f"task {task}: {what} {wanted!r} names no argument of {signature}: one of {', '.join(names) or 'none'}, or "
            "a function that takes the job's arguments"
        )
    name = wanted

    def pick(*args: object, **kwargs: object) -> object:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments[name]

    return pick


def _text(task: str, key: object) -> str:
    """A key as a text that is the same in every process."""
    if isinstance(key, (str, int, UUID)) and len(text := f"{type(key).__name__}:{key}") <= _MOST_KEY_CHARS:
        return text
    raise InvalidInput(
        f"task {task}: the key of a limit is a text of at most {_MOST_KEY_CHARS} characters, a whole number or a UUID, "
        f"not {str(key)[:40]!r} ({type(key).__name__})"
    )
