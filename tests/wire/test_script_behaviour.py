"""What a table of one call can't show: the server's clock, retention by count, many at once, what several do."""

from __future__ import annotations

from typing import Any

from script_state import NOW, State, Tickets, World, job, tickets
from tidemill.wire.keys import GROUP
from tidemill.wire.scripts import Kept, NewJob, NewJobs, Scripts, Ticket

# More than any caller sends, and more than Lua puts on its stack at a time without care.
MANY = 1_000
LANES = ("high", "normal", "low")


def test_without_a_given_time_scripts_read_the_servers_clock(world: World) -> None:
    before_ms = world.run(world.scripts.server_time())
    world.run(world.scripts.enqueue(NewJobs("q", "t", delay_ms=50), [NewJob("a", "", b"body")]))
    after_ms = world.run(world.scripts.server_time())
    record = world.run(world.scripts.read("a"))
    assert before_ms <= record.created_ms <= after_ms
    assert record.due_ms == record.created_ms + 50
    assert before_ms <= world.run(world.scripts.survey()).now_ms


def test_a_whole_time_is_written_with_all_its_digits(world: World) -> None:
    """1.8e+12 would be a time as well, but not one that a client reads."""
    world.run(world.scripts.enqueue(NewJobs("q", "t", due_ms=2 * NOW), [NewJob("a", "", b"body")], now_ms=NOW))
    assert world.read("job:a")["c"] == str(NOW)
    assert world.run(world.scripts.read("a")).due_ms == 2 * NOW


def _complete(world: World, ids: list[str], most: int) -> None:
    scripts = Scripts(world.keys, Kept(ttl_ms=1_000_000, most=most))
    rows = [(one, world.entry(one), 1, b"") for one in ids]
    world.run(scripts.complete("w1", "q", "normal", rows, now_ms=NOW))


def _held(ids: list[str]) -> State:
    running = {f"job:{one}": job("running", l="w1", a=1) for one in ids}
    return {**running, "ready:q:normal": tickets(*(f"{one}@w1" for one in ids))}


def test_a_queue_keeps_the_newest_finished_records_up_to_its_most(world: World) -> None:
    ids = ["a", "b", "c", "d"]
    world.replace(
        {**_held(ids), "done:q": {"old": 1, "older": 0}, "job:old": job("dead"), "job:older": job("succeeded")}
    )
    _complete(world, ids, most=3)
    state = world.dump()
    assert list(state["done:q"]) == ["b", "c", "d"]
    assert not {"job:old", "job:older", "job:a"} & set(state)
    assert {"job:b", "job:c", "job:d"} <= set(state)


def test_a_most_that_is_lowered_is_reached_a_few_records_a_call(world: World) -> None:
    world.replace({**_held(["a"]), "done:q": {f"old{number}": number for number in range(100)}})
    _complete(world, ["a"], most=0)
    assert len(world.read("done:q")) == 101 - 5


def test_the_most_is_kept_by_a_sweep_as_well(world: World) -> None:
    world.replace({"done:q": {f"id{number}": 2 * NOW for number in range(10)}})
    scripts = Scripts(world.keys, Kept(most=4))
    assert world.run(scripts.sweep("finished", ["q"], 5, now_ms=NOW)) == 5
    assert world.run(scripts.sweep("finished", ["q"], 5, now_ms=NOW)) == 1
    assert world.run(scripts.sweep("finished", ["q"], 5, now_ms=NOW)) == 0


def test_a_description_outlives_its_lease_and_then_ends(world: World) -> None:
    world.run(world.scripts.register("w1", 1_000, ["q"], {}, {"host": "h"}))
    assert 9_000 < world.client.pttl(world.keys.worker("w1")) <= 10_000
    world.run(world.scripts.renew("w1", 5_000, ["q"], []))
    assert 49_000 < world.client.pttl(world.keys.worker("w1")) <= 50_000


def test_a_retired_worker_leaves_no_consumer_behind(world: World) -> None:
    world.run(world.scripts.register("w1", 1_000, ["q"], {}, {"host": "h"}))
    for stream in world.keys.lanes("q"):
        world.client.xgroup_createconsumer(stream, GROUP, "w1")
    assert world.run(world.scripts.retire("w1", ["q"])) == 0
    assert [world.client.xinfo_groups(stream)[0]["consumers"] for stream in world.keys.lanes("q")] == [0, 0, 0]


def test_a_blocking_read_brings_one_ticket_of_each_stream(world: World) -> None:
    world.replace(
        {
            "ready:q:high": tickets("a", "b"),
            "ready:q:normal": tickets(),
            "ready:q:low": tickets("c"),
            **{f"ready:p:{lane}": tickets() for lane in LANES},
        }
    )
    found = world.run(world.scripts.listen("w1", ("p", "q"), 1_000))
    assert found == [Ticket("q", 0, "1-0", "a"), Ticket("q", 2, "1-0", "c")]


def test_strays_are_the_tickets_of_this_incarnation_that_are_not_settled(world: World) -> None:
    world.replace(
        {**{f"ready:q:{lane}": tickets() for lane in LANES}, "ready:q:low": tickets("a@w1", "b@w2", "c@w1", "d")}
    )
    found = world.run(world.scripts.strays("w1", ["q"], 10))
    assert [ticket.job_id for ticket in found] == ["a", "c"]


def test_a_ticket_that_no_tidemill_wrote_goes_and_its_neighbour_runs(world: World) -> None:
    world.replace({"workers": {"w1": NOW}, **{f"ready:q:{lane}": tickets() for lane in LANES}, "job:a": job("ready")})
    world.client.xadd(world.keys.ready("q", "high"), {b"\xff": b"\xfe\x00"})
    world.client.xadd(world.keys.ready("q", "normal"), {"j": "a"})
    found = world.run(world.scripts.listen("w1", ["q"], 1_000))
    takings = world.run(world.scripts.take("w1", ["q"], 5, tickets=found, now_ms=NOW))
    assert [taken.id for taken in takings.jobs] == ["a"]
    assert world.read("ready:q:high") == Tickets(())


def test_a_dead_letter_made_of_foreign_data_can_be_read(world: World) -> None:
    streams = {f"ready:q:{lane}": tickets() for lane in LANES}
    world.replace({"workers": {"w1": NOW}, **streams, "ready:q:high": tickets("a"), "job:a": "\xff\xfe"})
    world.run(world.scripts.take("w1", ["q"], 5, now_ms=NOW))
    record = world.run(world.scripts.read("a"))
    assert (record.state, record.queue, record.error.type) == ("dead", "q", "CorruptRecord")


def test_another_programs_group_does_not_count_in_the_figures(world: World) -> None:
    world.replace({"ready:q:normal": tickets("a@w1", "b")})
    stream = world.keys.ready("q", "normal")
    world.client.xgroup_create(stream, "another", "0")
    world.client.xreadgroup("another", "x", {stream: ">"})
    figures = world.run(world.scripts.measure("q"))
    assert (figures.running, figures.waiting, figures.oldest_ready_ms) == (1, 1, 2)


def test_two_schedulers_make_one_job_of_an_occurrence(world: World) -> None:
    world.replace({"occurrences": {"daily": NOW}})
    tick = world.scripts.tick("daily", NOW, NOW + 9, NewJobs("q", "t"), b"body", ["daily-1"])
    assert [world.run(tick), world.run(tick)] == [1, -1]
    assert world.read("ready:q:normal") == tickets("daily-1", group=False)


def test_two_schedulers_promote_a_job_once(world: World) -> None:
    world.replace({"job:a": job("scheduled", d=5), "wheel:q": {"a": 5}, "agenda": {"q": 5}})
    promote = world.scripts.promote("q", 10, 100)
    assert [world.run(promote).jobs, world.run(promote).jobs] == [1, 0]


def test_two_reapers_recover_a_job_once(world: World) -> None:
    world.replace({**_held(["a"]), **{f"ready:q:{lane}": tickets() for lane in ("high", "low")}})
    recover = world.scripts.recover("w1", "q", 10, 3, b"error")
    assert [world.run(recover).ready, world.run(recover).ready] == [["a"], []]
    assert world.read("job:a")["k"] == "1"


def test_a_zombies_outcome_is_refused_after_its_job_was_recovered_and_taken_by_another(world: World) -> None:
    world.replace(
        {**_held(["a"]), **{f"ready:q:{lane}": tickets() for lane in ("high", "low")}, "workers": {"w2": NOW}}
    )
    entry = world.entry("a")
    world.run(world.scripts.recover("w1", "q", 10, 3, b"error"))
    (taken,) = world.run(world.scripts.take("w2", ("q",), 1)).jobs
    assert (taken.attempt, taken.tries, taken.crashes) == (2, 1, 1)
    assert world.run(world.scripts.complete("w1", "q", "normal", [("a", entry, 1, b"zombie")])) == [0]
    assert world.run(world.scripts.complete("w2", "q", "normal", [("a", taken.entry, 2, b"right")])) == [1]
    assert world.run(world.scripts.read("a")).result == b"right"


def test_a_rate_is_remembered_until_all_of_its_burst_is_free_again(world: World) -> None:
    hour_ms = 3_600_000
    world.replace(
        {
            "workers": {"w1": NOW + 100},
            "limits": {"t": f"r{hour_ms * 1000}:3:t"},  # one an hour, and three at once
            **{f"ready:q:{lane}": tickets() for lane in ("high", "low")},
            "ready:q:normal": tickets("a", "b"),
            **{f"job:{one}": job("ready", li="r1") for one in ("a", "b")},
        }
    )
    assert len(world.run(world.scripts.take("w1", ("q",), 2, now_ms=NOW)).jobs) == 2
    assert 2 * hour_ms < world.client.pttl(f"{world.keys.root}limit:r1") <= 2 * hour_ms + 60_000


def test_queues_with_due_jobs_take_turns_however_many_are_full(world: World) -> None:
    """A survey names a hundred queues. Those that are full move behind the others, so that none waits for ever."""
    full = {f"full{number:03}": number for number in range(150)}
    state: State = {f"wheel:{queue}": {"x": due} for queue, due in full.items()}
    state |= {f"ready:{queue}:high": tickets("y") for queue in full}
    world.replace({**state, "wheel:q": {"a": 500}, "agenda": {**full, "q": 500}, "job:a": job("scheduled", d=500)})
    for now_ms in (NOW, NOW + 1):
        for queue in world.run(world.scripts.survey(now_ms=now_ms)).due_queues:
            world.run(world.scripts.promote(queue, 10, 1, now_ms=now_ms))
    assert world.read("job:a")["s"] == "ready"


def test_a_thousand_jobs_in_one_call_are_not_too_many_for_lua(world: World) -> None:
    ids = [f"id{number}" for number in range(MANY)]
    world.run(world.scripts.enqueue(NewJobs("q", "t"), [NewJob(one, "", b"body") for one in ids]))
    world.run(world.scripts.register("w1", 60_000, ["q"], {}, {"host": "h"}))
    takings = world.run(world.scripts.take("w1", ["q"], MANY))
    assert [taken.id for taken in takings.jobs] == ids
    rows: list[Any] = [(taken.id, taken.entry, 1, 0, b"error") for taken in takings.jobs]
    assert world.run(world.scripts.retry("w1", "q", "normal", rows)) == [1] * MANY
    assert world.run(world.scripts.promote("q", MANY, MANY)).jobs == MANY
    assert len(world.run(world.scripts.take("w1", ["q"], MANY)).jobs) == MANY
    assert len(world.run(world.scripts.renew("w1", 60_000, ["q"], ids)).cancelled) == 0
    world.run(world.scripts.retire("w1", ["q"]))
    assert world.run(world.scripts.recover("w1", "q", MANY, 3, b"error")).moved == MANY
    assert world.run(world.scripts.cancel(ids)) == ["cancelled"] * MANY
    assert world.run(world.scripts.sweep("finished", ["q"], MANY, now_ms=2 * NOW)) == MANY
