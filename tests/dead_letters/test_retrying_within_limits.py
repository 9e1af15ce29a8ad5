"""A bulk retry is new load: it keeps to the limits of the queues that it goes to."""

from __future__ import annotations

from dead_letters.letters import leave, make_letters
from tidemill import Tidemill


def test_letters_beyond_the_limit_stay_dead_and_the_same_call_goes_on(mill: Tidemill) -> None:
    make_letters(mill, 250)
    leave(mill)
    mill.inspect.limit("default", 120)
    first = mill.dead_letters.retry_all(queue="default")
    assert (first.matched, first.done, first.skipped) == (250, 120, {"full": 130})
    figures = mill.inspect.queue("default")
    assert (figures.waiting, figures.dead) == (120, 130)
    mill.inspect.limit("default", 1_000)
    second = mill.dead_letters.retry_all(queue="default")
    assert (second.done, second.skipped) == (130, {})


def test_one_that_is_retried_by_its_id_gets_in(mill: Tidemill) -> None:
    ids = make_letters(mill, 2)
    leave(mill)
    mill.inspect.limit("default", 1)
    mill.named("other").enqueue()
    assert mill.dead_letters.retry(ids[0]).state == "ready"
