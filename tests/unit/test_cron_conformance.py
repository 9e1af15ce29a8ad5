"""Cron expressions against worked examples: our own, and the answers of four other implementations."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import pytest

from tidemill.errors import InvalidInput
from tidemill.schedule import parse

CHECKOUT = Path(__file__).parents[2]
SHARED_DATA = Path(os.environ.get("TIDEMILL_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
CONFORMANCE = SHARED_DATA / "cron" / "conformance_dev.json"

# Of the cases on which three of four implementations agree, we may side with the fourth in one of twenty.
MIN_THREE_AGREE = 0.95


class Case(TypedDict):
    """Which occurrences of `expr` in `tz` follow the ISO 8601 moment `base`."""

    expr: str
    tz: str
    base: str


class Example(Case):
    """Our own case: the next occurrences, or "reject", and the reason."""

    expect: list[str] | str
    why: str


class Graded(Case):
    """A shared case: how many implementations agree (`grade`), on what, and what each says if they don't."""

    grade: str
    expect: NotRequired[list[str] | str]
    results: NotRequired[dict[str, object]]


EXAMPLES = cast(list[Example], json.loads(Path(__file__).with_name("cron_cases.json").read_text(encoding="utf-8")))


def to_ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def answer(case: Case, count: int) -> list[int] | str:
    """The next `count` occurrences in unix ms, or "reject"."""
    try:
        schedule = parse(case["expr"], case["tz"])
    except InvalidInput:
        return "reject"
    found = [schedule.next_after_ms(to_ms(case["base"]))]
    while len(found) < count:
        found.append(schedule.next_after_ms(found[-1]))
    return found


def agrees(case: Case, expect: list[str] | str) -> bool:
    if isinstance(expect, str):
        return answer(case, 1) == expect
    return answer(case, len(expect)) == [to_ms(moment) for moment in expect]


def shared_cases(grade: str) -> list[Graded]:
    if not CONFORMANCE.exists():
        pytest.skip(f"{CONFORMANCE} is not there: set TIDEMILL_SHARED_DATA to the folder that has cron/")
    cases = cast(list[Graded], json.loads(CONFORMANCE.read_text(encoding="utf-8")))
    return [case for case in cases if case["grade"] == grade]


def dissent(cases: list[Graded]) -> list[str]:
    return [
        f"{case['expr']} in {case['tz']} after {case['base']}: expected {case.get('expect')}, got {answer(case, 5)}"
        for case in cases
        if not agrees(case, case.get("expect", []))
    ]


def title(case: Case) -> str:
    return ascii(f"{case['expr']} {case['tz']} {case['base']}")


@pytest.mark.parametrize("case", EXAMPLES, ids=title)
def test_a_worked_example_comes_out_as_written(case: Example) -> None:
    assert agrees(case, case["expect"]), f"{case['why']}: got {answer(case, len(case['expect']))}"


def test_where_four_implementations_agree_we_agree() -> None:
    cases = shared_cases("all-agree")
    assert cases
    assert dissent(cases) == []


def test_where_three_of_four_implementations_agree_we_nearly_always_do() -> None:
    cases = shared_cases("three-agree")
    dissenting = dissent(cases)
    print(f"three-agree: {len(cases) - len(dissenting)} of {len(cases)} cases agree", *dissenting, sep="\n  ")
    assert len(dissenting) <= (1 - MIN_THREE_AGREE) * len(cases)


def test_where_implementations_are_split_we_accept_only_what_one_of_them_accepts() -> None:
    cases = shared_cases("split")
    allies = [len(allies_of(case)) for case in cases]
    print(f"split: {sum(count > 0 for count in allies)} of {len(cases)} answers are shared by another")
    accepted = [case for case in cases if answer(case, 1) != "reject"]
    assert [case["expr"] for case in accepted if not accepted_elsewhere(case)] == []


def allies_of(case: Graded) -> list[str]:
    ours = answer(case, 5)
    return [name for name, theirs in case.get("results", {}).items() if normalized(theirs) == ours]


def accepted_elsewhere(case: Graded) -> bool:
    return any(normalized(theirs) != "reject" for theirs in case.get("results", {}).values())


def normalized(result: object) -> list[int] | str:
    """One implementation's result: occurrences in unix ms, or "reject" for an error and for "never"."""
    if not isinstance(result, list) or result == ["never"]:
        return "reject"
    return [to_ms(moment) for moment in cast(list[str], result)]
