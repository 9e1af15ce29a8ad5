"""An application whose jobs make effects, and are killed or paused at the worst moments.

Two kinds of effect are counted: SOLD, a number in the same Redis; and charges, the lines of a file, which stand for a
service elsewhere that can be asked what it was told.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tidemill import EffectUnknown, Retry, StaleAttempt, Tidemill, current_job, once
from worker.jobs_app import note, wait_for
from worker.processes import lines

mill = Tidemill()
SOLD = "{0}:sold"  # with the tag of the application's keys, so that a cluster holds them together
PRICE = 3


def _die_at_first() -> None:
    if current_job().fence.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def _sell(order: str) -> bool:
    return once(f"sell {order}").execute(["INCRBY", SOLD, PRICE])


@mill.task()
def sell(order: str) -> bool:
    return _sell(order)


@mill.task()
async def sell_async(order: str) -> bool:
    return await once(f"sell {order}").aexecute(["INCRBY", SOLD, PRICE])


@mill.task()
def sell_and_die() -> bool:
    sold = _sell("17")
    _die_at_first()
    return sold


@mill.task(executor="process", retry=Retry(max_attempts=2, base=0.01))
def sell_in_a_child_and_die() -> bool:
    sold = _sell("17")
    _die_at_first()
    return sold


@mill.task()
def sell_when_released(journal: str, release: str) -> bool:
    """The first attempt waits for `release`, each later one for `release.2`; what becomes of each is noted."""
    attempt = current_job().fence.attempt
    note(journal, f"started {attempt}")
    wait_for(release if attempt == 1 else f"{release}.2")
    try:
        sold = _sell("17")
    except StaleAttempt as error:
        note(journal, type(error).__name__)
        raise
    note(journal, f"sold {attempt} {sold}")
    return sold


def _charge(charges: str, key: str) -> str:
    note(charges, key)
    return f"receipt of {key}"


@mill.task()
def charge_and_die(charges: str, *, after: bool) -> str:
    """Dies before or after it has charged, and in any case before it can say so. Later it asks the other side."""
    with once("charge 17") as effect:
        if effect.state == "unknown" and effect.key in lines(Path(charges)):
            effect.done(f"receipt of {effect.key}")
        elif effect.state != "done":
            if not after:
                _die_at_first()
            receipt = _charge(charges, effect.key)
            if after:
                _die_at_first()
            effect.done(receipt)
    return str(effect.result)


@mill.task()
async def charge_async(charges: str) -> str:
    async with once("charge 17") as effect:
        if effect.state == "new":
            await effect.adone(_charge(charges, effect.key))
    return f"{effect.state}: {effect.result}"


@mill.task()
def charge_when_released(journal: str, charges: str, release: str) -> str:
    """The first attempt charges, and waits before it says so; the others ask the other side."""
    with once("charge 17") as effect:
        if effect.state == "new":
            receipt = _charge(charges, effect.key)
            note(journal, "charged")
            wait_for(release)
            try:
                effect.done(receipt)
            except StaleAttempt as error:
                note(journal, type(error).__name__)
                raise
        elif effect.state == "unknown":
            assert effect.key in lines(Path(charges))
            effect.done("found")
    return str(effect.result)


@mill.task(retry=Retry(max_attempts=2, base=0.01))
def refused_at_first(charges: str) -> str:
    """The other side refuses the first attempt, so that one has certainly not charged."""
    with once("charge 17") as effect:
        if effect.state == "new" and current_job().attempt == 1:
            effect.not_done()
            raise ConnectionRefusedError
        found = effect.state
        effect.done(_charge(charges, effect.key))
    return found


@mill.task()
def says_nothing() -> None:
    with once("charge 17"):
        pass


@mill.task()
def hold_an_effect(journal: str, release: str) -> None:
    with once("charge 17") as effect:
        note(journal, "begun")
        wait_for(release)
        effect.done()


@mill.task()
def is_busy() -> str:
    found: list[str] = []
    for attempt in (lambda: once("charge 17").__enter__(), lambda: once("charge 17").execute(["INCR", SOLD])):
        try:
            attempt()
        except EffectUnknown as error:
            found.append(str(error))
    return "\n".join(found)


@mill.task()
def half_refused(text_key: str) -> list[str]:
    """Its second command is refused by the server: the first stays applied, and is not applied again."""
    found: list[str] = []
    for _ in range(2):
        try:
            once("half").execute(["INCRBY", SOLD, PRICE], ["INCRBY", text_key, 1])
        except Exception as error:  # noqa: BLE001 - the test looks at all of them
            found.append(f"{type(error).__name__}: {error}")
    return found


@mill.task()
def with_ttl(ttl: float) -> str:
    return f"{once('short', ttl=ttl).execute(['INCRBY', SOLD, PRICE])}"
