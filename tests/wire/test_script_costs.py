"""How many commands the server runs in a call: what it costs on the way that every job goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from script_state import NOW, State, World, job, tickets
from tidemill.wire.command import Command
from tidemill.wire.scripts import NewJob, NewJobs

BATCH = 100
IDS = [f"id{number:03}" for number in range(BATCH)]


def _commands(world: World, command: Command[Any]) -> int:
    """The commands that the server ran for this one, those inside the script included."""
    world.client.config_resetstat()
    world.run(command)
    counted = world.client.info("commandstats")
    ours = {
        name: found["calls"]
        for name, found in counted.items()
        if not name.startswith(("cmdstat_config", "cmdstat_info"))
    }
    return sum(count for name, count in ours.items() if name != "cmdstat_evalsha")


def _warm(world: World, command: Command[Any]) -> None:
    """So that the connection and the script are not counted."""
    world.run(command)


def _enqueue(world: World, ids: list[str], **shared: Any) -> Command[Any]:
    return world.scripts.enqueue(NewJobs("q", "t", **shared), [NewJob(one, "", b"body") for one in ids])


@pytest.mark.parametrize(
    ("shared", "most"), [({}, 5), ({"delay_ms": 60_000}, 6)], ids=["a job for now", "a job for later"]
)
def test_enqueue_costs_six_commands_at_most(world: World, shared: dict[str, Any], most: int) -> None:
    _warm(world, _enqueue(world, ["first"], **shared))
    # A later due time than the first one's: the usual case.
    assert _commands(world, _enqueue(world, ["second"], **shared)) <= most


def test_a_chunk_costs_two_commands_a_job(world: World) -> None:
    _warm(world, _enqueue(world, ["first"]))
    assert _commands(world, _enqueue(world, IDS)) <= 2 * BATCH + 5


def _running(*, lane: tuple[str, ...]) -> State:
    fields = {"l": "w1", "a": 1, "j": 5}
    return {**{f"job:{one}": job("running", **fields) for one in IDS}, "ready:q:normal": tickets(*lane)}


def test_take_costs_two_commands_a_job_and_a_few_for_all(world: World) -> None:
    streams = {f"ready:q:{lane}": tickets() for lane in ("high", "low")}
    ready: State = {f"job:{one}": job("ready") for one in IDS}
    world.replace({"workers": {"w1": NOW}, **streams, **ready, "ready:q:normal": tickets(*IDS)})
    _warm(world, world.scripts.take("w1", ("q",), 0))
    assert _commands(world, world.scripts.take("w1", ("q",), BATCH)) <= 2 * BATCH + 10


@pytest.mark.parametrize(("script", "each"), [("complete", 3), ("retry", 3), ("bury", 5)])
def test_a_settlement_costs_three_or_five_commands_a_job_and_a_few_for_all(
    world: World, script: str, each: int
) -> None:
    world.replace(_running(lane=tuple(f"{one}@w1" for one in IDS)))
    rest: dict[str, tuple[object, ...]] = {"complete": (b"result",), "retry": (50, b"error"), "bury": (b"error",)}
    method: Callable[..., Command[Any]] = getattr(world.scripts, script)
    _warm(world, method("w1", "q", "normal", []))
    rows = [(one, world.entry(one), 1, *rest[script]) for one in IDS]
    assert _commands(world, method("w1", "q", "normal", rows)) <= each * BATCH + 20


def _limited(li: str) -> State:
    """A hundred ready jobs with these limits, none of which binds."""
    streams = {f"ready:q:{lane}": tickets() for lane in ("high", "low")}
    ready: State = {f"job:{one}": job("ready", li=li) for one in IDS}
    allowed = {"limits": {"t": "r10:1000:t c1000:t"}}
    return {"workers": {"w1": NOW}, **streams, **ready, **allowed, "ready:q:normal": tickets(*IDS)}


def test_limits_that_do_not_bind_cost_a_few_commands_a_batch_and_none_a_job(world: World) -> None:
    world.replace(_limited("r1 c1"))
    _warm(world, world.scripts.take("w1", ("q",), 0))
    assert _commands(world, world.scripts.take("w1", ("q",), BATCH)) <= 2 * BATCH + 10 + 10
    _warm(world, world.scripts.complete("w1", "q", "normal", []))
    rows = [(one, world.entry(one), 1, b"result") for one in IDS]
    assert _commands(world, world.scripts.complete("w1", "q", "normal", rows)) <= 3 * BATCH + 20 + 5
    _warm(world, _enqueue(world, ["first"]))
    assert _commands(world, _enqueue(world, [f"new-{one}" for one in IDS], limits="r1 c1")) <= 2 * BATCH + 5 + 2


def test_of_a_long_line_only_those_are_looked_at_that_are_let_in(world: World) -> None:
    waiting = {f"job:{one}": job("scheduled", li="r1", i=number, y="waits") for number, one in enumerate(IDS)}
    places = {"wheel:q": dict.fromkeys(IDS, 4 * 10**12), "agenda": {"q": 4 * 10**12, "line:r1": NOW}}
    line = {one: number for number, one in enumerate(IDS)}
    world.replace({**waiting, **places, "line:r1": line, "limits": {"t": "r2000:3:t"}})
    _warm(world, world.scripts.admit("r2"))
    assert _commands(world, world.scripts.admit("r1")) <= 3 * 6 + 20


def test_promote_costs_three_commands_a_job_and_a_few_for_all(world: World) -> None:
    scheduled: State = {f"job:{one}": job("scheduled", d=5) for one in IDS}
    world.replace({**scheduled, "wheel:q": dict.fromkeys(IDS, 5), "agenda": {"q": 5}})
    _warm(world, world.scripts.promote("other", 1, 1))
    assert _commands(world, world.scripts.promote("q", BATCH, 10_000)) <= 3 * BATCH + 12


def test_a_call_that_finds_nothing_to_do_is_cheap(world: World) -> None:
    world.replace({"workers": {"w1": NOW}, **{f"ready:q:{lane}": tickets() for lane in ("high", "normal", "low")}})
    idle: list[Command[Any]] = [
        world.scripts.take("w1", ("q",), 10),
        world.scripts.survey(),
        world.scripts.renew("w1", 1000, ("q",), ()),
        world.scripts.expire(10),
    ]
    for command in idle:
        _warm(world, command)
        assert _commands(world, command) <= 8


def _names(world: World, command: Command[Any]) -> set[str]:
    """The commands that a call runs, by name."""
    _commands(world, command)
    found = (name.removeprefix("cmdstat_") for name in world.client.info("commandstats"))
    return {name for name in found if not name.startswith(("config", "info", "evalsha", "time"))}


def test_a_queue_that_has_seen_no_tenant_runs_no_command_for_them(world: World) -> None:
    world.run(world.scripts.register("w1", 10**9, ["q"], {}, {"pid": "1"}))
    _warm(world, _enqueue(world, ["first"]))
    assert _names(world, _enqueue(world, ["second"])) == {"hmget", "exists", "xadd", "hset"}
    assert _names(world, world.scripts.take("w1", ("q",), 9)) == {"zscore", "hmget", "xreadgroup", "hgetall", "hset"}


@pytest.mark.parametrize(("tenants", "each"), [(1, 3), (4, 7)], ids=["one tenant", "four in turn"])
def test_who_is_let_in_by_turn_costs_a_few_commands_a_job(world: World, tenants: int, each: int) -> None:
    digests = "".join(f"{number % tenants:016x}" for number in range(BATCH))
    world.run(world.scripts.register("w1", 10**9, ["q"], {}, {"pid": "1"}))
    _warm(world, _enqueue(world, ["first", "next", "last"], tenants="f" * 16))
    assert _commands(world, _enqueue(world, IDS, tenants=digests)) <= 2 * BATCH + 5 + 4 * tenants
    _warm(world, world.scripts.take("w1", ("q",), 0))
    assert _commands(world, world.scripts.take("w1", ("q",), BATCH)) <= each * BATCH + 30 + 2 * tenants
