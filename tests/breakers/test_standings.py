"""What a process knows of a breaker, by two ways: messages, and answers to its questions."""

from __future__ import annotations

import pytest

from tidemill.breakers.standing import Standing, heard
from tidemill.wire.scripts import News

pytestmark = pytest.mark.once

HALF_OPEN = Standing("half_open", 5, 100.0, "failures")
REFUSAL = News(5, "half_open", 60_000, "failures")
A_PERMIT_IS_FREE = News(5, "half_open", 0, "failures")


def test_who_was_refused_a_permit_asks_again_when_the_first_one_is_over() -> None:
    assert heard(HALF_OPEN, REFUSAL, 100.0, is_answer=True, asked=HALF_OPEN).due == 160.0


def test_who_was_refused_a_permit_asks_again_when_one_is_free() -> None:
    refused = heard(HALF_OPEN, REFUSAL, 100.0, is_answer=True, asked=HALF_OPEN)
    assert heard(refused, A_PERMIT_IS_FREE, 101.0).due == 101.0


def test_a_refusal_does_not_undo_a_message_that_came_while_it_was_under_way() -> None:
    told = heard(HALF_OPEN, A_PERMIT_IS_FREE, 100.1)
    assert heard(told, REFUSAL, 100.2, is_answer=True, asked=HALF_OPEN).due == 100.1


def test_a_refusal_counts_for_who_asked_before_the_state_was_known() -> None:
    opened = Standing("open", 4, 100.0, "failures")
    assert heard(opened, REFUSAL, 100.0, is_answer=True, asked=opened).due == 160.0
