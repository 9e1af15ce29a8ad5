"""`mill.dead_letters`: dead letters are found by what they are, a page at a time, and counted."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dead_letters.letters import kill_again, make_letters
from tidemill import InvalidInput, RemoteError, Tidemill
from tidemill.dead_letters import DeadLetter

DAY_MS = 86_400_000


def _now_ms(mill: Tidemill) -> int:
    return mill.client.link.run(mill.client.scripts.server_time())


def _ids(mill: Tidemill, **which: Any) -> list[str]:
    return [letter.id for letter in mill.dead_letters.browse(limit=1_000, **which).letters]


def test_without_a_filter_all_are_listed_queue_by_queue_with_the_newest_first(mill: Tidemill) -> None:
    now_ms = _now_ms(mill)
    assert mill.dead_letters.browse().letters == ()
    (old,) = make_letters(mill, 1, queue="images", died_ms=now_ms - DAY_MS)
    (new,) = make_letters(mill, 1, queue="images", died_ms=now_ms - 5)
    (other,) = make_letters(mill, 1, queue="mails", task="mails.send")
    page = mill.dead_letters.browse()
    assert [letter.id for letter in page.letters] == [new, old, other]
    assert page.cursor is None
    assert page.letters[0] == DeadLetter(new, "images", "a.task", 1, 0, now_ms - 5, "ValueError", "no such picture")
    assert page.letters[2].task == "mails.send"


def test_each_part_of_a_filter_holds_others_back(mill: Tidemill) -> None:
    now_ms = _now_ms(mill)
    (old,) = make_letters(mill, 1, died_ms=now_ms - 10 * DAY_MS)
    (key,) = make_letters(mill, 1, error=RemoteError("KeyError", "'size'"), task="b.task")
    (other,) = make_letters(mill, 1, queue="other")
    assert _ids(mill, queue="other") == [other]
    assert _ids(mill, task="b.task") == [key]
    assert _ids(mill, error="KeyError") == [key]
    assert _ids(mill, text="size") == [key]
    assert _ids(mill, text="SIZE") == []
    assert _ids(mill, before=timedelta(days=5)) == [old]
    assert set(_ids(mill, since=timedelta(days=5))) == {key, other}
    at = datetime.fromtimestamp((now_ms - 10 * DAY_MS) / 1000, UTC)
    assert _ids(mill, since=at, before=at + timedelta(seconds=1)) == [old]
    assert _ids(mill, queue="default", error="ValueError") == [old]
    assert _ids(mill, queue="nobody") == []


def test_pages_go_on_where_the_last_one_ended_also_among_those_of_one_millisecond(mill: Tidemill) -> None:
    now_ms = _now_ms(mill)
    ids = {*make_letters(mill, 130, died_ms=now_ms - 9), *make_letters(mill, 3, queue="other")}
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = mill.dead_letters.browse(cursor=cursor, limit=7)
        seen += [letter.id for letter in page.letters]
        cursor = page.cursor
        if cursor is None:
            break
        assert len(page.letters) == 7
    assert len(seen) == len(ids)
    assert set(seen) == ids


def test_a_page_goes_on_though_its_last_letter_has_left_and_newer_ones_have_come(mill: Tidemill) -> None:
    ids = make_letters(mill, 20, died_ms=_now_ms(mill) - 1_000)
    first = mill.dead_letters.browse(limit=10)
    for letter in first.letters:
        mill.dead_letters.retry(letter.id)
    kill_again(mill, [letter.id for letter in first.letters])
    rest = mill.dead_letters.browse(cursor=first.cursor, limit=100)
    assert {letter.id for letter in rest.letters} == set(ids) - {letter.id for letter in first.letters}


def test_they_are_counted_by_the_type_of_their_error(mill: Tidemill) -> None:
    make_letters(mill, 3, error=RemoteError("KeyError", "x"))
    make_letters(mill, 120)
    make_letters(mill, 2, queue="other", error=RemoteError("KeyError", "x"))
    assert list(mill.dead_letters.counts().items()) == [("ValueError", 120), ("KeyError", 5)]
    assert mill.dead_letters.counts(queue="other") == {"KeyError": 2}
    assert mill.dead_letters.counts(text="picture") == {"ValueError": 120}


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"queue": "No"}, "queue name 'No' is not valid: 1 to 64"),
        ({"task": "no task"}, "task name 'no task' is not valid"),
        ({"error": ""}, "error must be a text of 1 to 200 characters, not ''"),
        ({"text": "x" * 201}, "text must be a text of 1 to 200 characters"),
        ({"text": "\udc80"}, "text must be a text of 1 to 200 characters, not '\\udc80'"),
        ({"since": 5}, "since must be an aware datetime, or a timedelta for how long ago, not 5"),
        ({"since": timedelta(-1)}, "since must be 0 to 3660 days"),
        ({"before": datetime(2026, 1, 1)}, "before must know its time zone"),  # noqa: DTZ001 - a naive one is refused
        ({"since": timedelta(1), "before": timedelta(2)}, "since must be earlier than before"),
        ({"colour": "red"}, "unknown filter colour: one of queue, task, error, text, since, before"),
        ({"limit": 0}, "limit must be a whole number from 1 to 10000, not 0"),
        ({"cursor": "nonsense"}, "cursor 'nonsense' is none of a page of dead letters"),
        ({"cursor": "q,nan,x"}, "cursor 'q,nan,x' is none of a page"),
        ({"cursor": "Q,1,x"}, "cursor 'Q,1,x' is none of a page"),
    ],
    ids=str,
)
def test_a_wrong_filter_is_refused_with_the_rule(mill: Tidemill, wrong: Any, rule: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(rule)):
        mill.dead_letters.browse(**wrong)
