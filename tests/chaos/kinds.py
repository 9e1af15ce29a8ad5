"""What producers enqueue: kinds of jobs, each with its share, its options, and what must come of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final

from chaos import application as app

# Of a producer's first process; later ones come by chance. Each runs several workers into death.
FIRST_POISON: Final = 60
# One queue has tenants, and goes by turn; the others have none.
SHARED_QUEUE: Final = "slow"
TENANTS: Final = ("acme", "bolt", None)


@dataclass(frozen=True, slots=True)
class Order:
    """A job to be enqueued. `told` goes into the history with it: what the checker has to know of it."""

    kind: str
    task: Any
    arguments: tuple[object, ...] = ()
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    told: dict[str, Any] = field(default_factory=dict[str, Any])


def choose(random: random.Random, number: int | None) -> Order:
    """An order: the `number`-th of a producer's first process."""
    if number == FIRST_POISON:
        return _poison(random)
    maker = random.choices(list(_SHARES), list(_SHARES.values()))[0]
    order = maker(random)
    if order.task.options.queue == SHARED_QUEUE and "queue" not in order.options:
        order.options["tenant"] = random.choice(TENANTS)
    return order


def _plain(random: random.Random) -> Order:
    return Order("plain", app.plain, options={"priority": random.choice(["high", "normal", "low"])})


def _delayed(random: random.Random) -> Order:
    delay = round(random.uniform(0.05, 4), 3)
    return Order("delayed", app.plain, options={"delay": delay}, told={"delay": delay})


def _flaky(random: random.Random) -> Order:
    return Order("flaky", app.fails_first, (random.randint(1, app.FAILING_ATTEMPTS - 1),))


def _hopeless(_: random.Random) -> Order:
    return Order("hopeless", app.fails_first, (app.FAILING_ATTEMPTS,))


def _slow(random: random.Random) -> Order:
    return Order("slow", app.slow, (round(random.uniform(0.1, 1), 2),))


def _unique(random: random.Random) -> Order:
    key = f"key-{random.randrange(6)}"
    return Order("unique", app.slow, (0.1,), {"unique": key, "queue": "default"}, {"unique": key})


def _expiring(random: random.Random) -> Order:
    expires = round(random.uniform(0.2, 2), 2)
    delay = random.choice([0, 0.5, 1.5])
    return Order("expiring", app.plain, options={"expires": expires, "delay": delay}, told={"delay": delay})


def _cancelled(random: random.Random) -> Order:
    if random.random() < 0.5:
        delay = round(random.uniform(0.3, 2), 2)
        return Order("cancelled", app.plain, options={"delay": delay}, told={"delay": delay})
    return Order("cancelled", app.slow, (0.6,))


def _coroutine(random: random.Random) -> Order:
    return Order("coroutine", app.coroutine, (round(random.uniform(0.01, 0.5), 2),))


def _in_child(random: random.Random) -> Order:
    return Order("in_child", app.in_child, (round(random.uniform(0.02, 0.3), 2),))


def _poison(_: random.Random) -> Order:
    return Order("poison", app.kills_its_worker)


def _batch(_: random.Random) -> Order:
    return Order("batch", app.plain)


_SHARES: Final = {
    _plain: 40,
    _delayed: 16,
    _flaky: 6,
    _hopeless: 1,
    _slow: 8,
    _unique: 6,
    _expiring: 5,
    _cancelled: 6,
    _coroutine: 6,
    _in_child: 4,
    _batch: 1,
    _poison: 0.04,
}
