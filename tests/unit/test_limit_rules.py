"""What can be said of limits, what is refused, and what a job's limits are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tidemill import InvalidInput, Limit, Tidemill, limits


@pytest.mark.parametrize(
    ("text", "interval_us", "burst"),
    [
        ("1/s", 1_000_000, 1),
        ("19/s", 1e6 / 19, 1),
        ("20/s", 50_000, 2),
        ("500/s", 2_000, 5),
        ("500/s burst 20", 2_000, 20),
        ("30/m", 2_000_000, 1),
        ("1/h", 3.6e9, 1),
        ("1/d burst 3", 8.64e10, 3),
        ("100000/s", 10, 1_000),
    ],
)
def test_a_rate_is_a_number_for_a_time_and_a_burst(text: str, interval_us: float, burst: int) -> None:
    assert limits.rate("rate", text) == (interval_us, burst)


@pytest.mark.parametrize(
    "text",
    ["", "100", "100/y", "1.5/s", "-1/s", "0/s", "100001/s", "100/s burst 0", "100/s burst", "1/s ", 100, None, True],
)
def test_what_is_no_rate_is_refused_with_what_was_seen(text: object) -> None:
    with pytest.raises(InvalidInput, match="rate") as refused:
        limits.rate("rate", text)
    assert repr(text) in str(refused.value)


def pay(customer: str, pages: int = 1, /, *rest: int, region: str = "eu", **more: object) -> None: ...


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"rate_key": "customer"}, "has no rate"),
    ({"concurrency_key": "customer"}, "has no concurrency"),
    ({"cost": 2}, "say rate="),
    ({"concurrency": 3, "cost": 2}, "say rate="),
    ({"rate": "1/s", "rate_key": "client"}, "names no argument of .* one of customer, pages, region"),
    ({"rate": "1/s", "rate_key": "rest"}, "names no argument"),
    ({"rate": "1/s", "rate_key": 7}, "names no argument"),
    ({"rate": "1/s", "cost": 2}, "say '1/s burst 2'"),
    ({"rate": "1/s", "cost": 0}, "is not 1 to the burst"),
    ({"rate": "1/s", "cost": True}, "cost"),
    ({"concurrency": 0}, "from 1 to"),
    ({"concurrency": 1.5}, "from 1 to"),
    ({"concurrency": "7"}, "from 1 to"),
    ({"limits": [Limit("a", rate="1/s"), Limit("a", concurrency=1)]}, "two limits of one name"),
    ({"limits": [Limit(f"a{number}", rate="1/s") for number in range(9)]}, "at most 8"),
]


@pytest.mark.parametrize(("options", "why"), WRONG)
def test_a_limit_that_makes_no_sense_is_refused_where_it_is_declared(options: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        Tidemill("redis://nowhere").task(**options)(pay)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Limit("a b", rate="1/s"), "the name 'a b'"),
        (lambda: Limit("a"), "limits nothing"),
        (lambda: Limit("a", concurrency=2, cost=3), "it has none"),
        (lambda: Limit("a", rate="1/x"), "the rate of Limit 'a'"),
        (lambda: Limit("a", concurrency=-1), "the concurrency of Limit 'a'"),
    ],
)
def test_a_shared_limit_that_makes_no_sense_is_refused(make: Callable[[], Limit], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        make()


def _limits(**options: Any) -> limits.Limits:
    task = Tidemill("redis://nowhere").task(name="pay", **options)(pay)
    assert task.definition.limits is not None
    return task.definition.limits


def test_what_a_task_allows_is_told_in_the_order_of_its_names() -> None:
    found = _limits(rate="500/s", rate_key="customer", concurrency=7, limits=[Limit("api", rate="3/s", concurrency=2)])
    assert found.allowed == "r2000:5:pay c7:pay r333333.333:1:api c2:api"
    names = found.names(("ann",), {})
    assert [name[0] for name in names.split()] == list(found.kinds) == list("rcrc")
    assert found.are_named(names)
    assert found.are_named(names + " rq.default")
    assert not found.are_named("")
    assert not found.are_named(names.split()[0])


def _customer(customer: object, *_: object, **__: object) -> object:
    return customer


@pytest.mark.parametrize("key", ["customer", _customer])
def test_each_value_of_a_key_has_a_limit_of_its_own(key: Any) -> None:
    found = _limits(concurrency=1, concurrency_key=key)
    ann, bob = found.names(("ann",), {}), found.names(("bob", 3), {"region": "us"})
    assert ann != bob
    assert found.names(("ann", 9), {}) == ann
    assert found.names((1,), {}) != found.names(("1",), {})
    assert found.names((UUID(int=1),), {})


def test_a_key_may_be_an_argument_that_is_left_to_its_default() -> None:
    found = _limits(concurrency=1, concurrency_key="region")
    assert (
        found.names(("ann",), {}) == found.names(("ann",), {"region": "eu"}) != found.names(("ann",), {"region": "us"})
    )


def test_no_text_of_a_user_stands_in_a_name() -> None:
    name = _limits(concurrency=1, concurrency_key="customer").names(("{secret} *\n",), {})
    assert name[0] == "c"
    assert len(name) == 21
    assert int(name[1:], 16)


@pytest.mark.parametrize("key", [None, 1.5, ["a"], object(), "x" * 5_000])
def test_a_key_that_is_no_text_number_or_uuid_is_refused_at_the_call(key: object) -> None:
    with pytest.raises(InvalidInput, match="the key of a limit"):
        _limits(concurrency=1, concurrency_key="customer").names((key,), {})


def test_a_cost_may_be_an_argument_and_is_checked_at_the_call() -> None:
    found = _limits(rate="10/s burst 5", cost="pages")
    assert found.names(("ann", 3), {}).endswith(":3")
    assert ":" not in found.names(("ann",), {})
    for cost in (0, 6, "3", True):
        with pytest.raises(InvalidInput, match="from 1 to the burst of its rate, which is 5"):
            found.names(("ann", cost), {})


def test_tasks_that_share_a_limit_call_it_the_same_and_others_do_not() -> None:
    shared, mill = Limit("api", concurrency=2), Tidemill("redis://nowhere")

    @mill.task(name="one", limits=[shared])
    def one() -> None: ...

    @mill.task(name="two", limits=[shared])
    def two(_: int) -> None: ...

    @mill.task(name="api", concurrency=2)
    def other() -> None: ...

    found = [task.definition.limits for task in (one, two, other)]
    names = [limit.names((), {}) for limit in found if limit is not None]
    assert names[0] == names[1] != names[2]
