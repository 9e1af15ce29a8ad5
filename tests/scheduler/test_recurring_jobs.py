"""Recurring jobs: once an occurrence, whatever number of schedulers; after an outage; with damaged definitions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from servers import Server
from tidemill import Tidemill, current_job
from tidemill.schedule import Interval, to_wire
from tidemill.wire import envelope
from tidemill_scheduler import settings

HOUR_MS = 3_600_000


def now_ms(mill: Tidemill) -> int:
    return mill.client.link.run(mill.client.scripts.server_time())


def set_back(server: Server, mill: Tidemill, name: str, due_ms: int) -> None:
    """As if no scheduler had been up since."""
    server.client.zadd(mill.client.scripts.keys.occurrences, {name: due_ms})


def test_each_occurrence_makes_one_job_however_many_schedulers_run(mill: Tidemill) -> None:
    ran: list[str] = []

    @mill.task()
    def beat(word: str) -> None:
        ran.append(f"{current_job().id} {word}")

    with running_scheduler(mill), running_scheduler(mill), running_scheduler(mill), running_worker(mill):
        began_ms = now_ms(mill)
        declared = mill.every(timedelta(seconds=1), beat, args=("tick",), name="beat")
        eventually(lambda: len(ran) >= 2, "it ran twice")
    occurrences = [int(line.split()[0].rpartition(":")[2]) for line in ran]
    assert len(set(occurrences)) == len(occurrences), "none ran twice"
    assert all(due_ms % 1_000 == 0 and due_ms > began_ms for due_ms in occurrences)
    assert [line.split()[1] for line in ran] == ["tick"] * len(ran)
    assert ran[0].split()[0] == declared.occurrence_id(occurrences[0])


@pytest.mark.parametrize(
    ("missed", "expected"),
    [("once", 1), ("skip", 0), ("all", 5)],
)
def test_what_was_missed_while_no_scheduler_was_up_follows_the_rule(
    mill: Tidemill, server: Server, missed: str, expected: int
) -> None:
    @mill.task()
    def report() -> None: ...

    # Half past each hour, so that no occurrence is near.
    minute = (datetime.now(UTC) + timedelta(minutes=30)).minute
    declared = mill.every(f"{minute} * * * *", report, name="report", missed=missed)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - it is one
    first_ms = declared.schedule.next_after_ms(now_ms(mill) - 5 * HOUR_MS)
    set_back(server, mill, "report", first_ms)
    occurrences = mill.client.scripts.keys.occurrences
    with running_scheduler(mill):
        eventually(lambda: server.client.zscore(occurrences, "report") > now_ms(mill), "it was handled")
        jobs = mill.inspect.jobs("default")
    assert len(jobs) == expected
    handled = {declared.occurrence_id(first_ms + hour * HOUR_MS) for hour in range(5)}
    assert {job.id for job in jobs} <= handled


def _definition(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "task": "task",
        "schedule": to_wire(Interval(1_000)),
        "missed": "once",
        "body": b"\x92\x90\x80",
        "queue": "default",
        "priority": "normal",
        "result_ttl_ms": None,
        "options": b"",
    }
    return envelope.pack(fields | changes)


DAMAGED: dict[str, Callable[[], bytes]] = {
    "no msgpack": lambda: b"\xc1",
    "no map": lambda: envelope.pack([1]),
    "a field too many": lambda: _definition(colour="red"),
    "a queue that is none": lambda: _definition(queue="Not Valid"),
    "a queue of another type": lambda: _definition(queue=7),
    "a task that is none": lambda: _definition(task=""),
    "a priority that is none": lambda: _definition(priority="urgent"),
    "arguments that are no bytes": lambda: _definition(body="text"),
    "options that are no bytes": lambda: _definition(options=[1]),
    "a time to live that is none": lambda: _definition(result_ttl_ms=-1),
    "a rule that is none": lambda: _definition(missed="sometimes"),
    "a schedule that is none": lambda: _definition(schedule={"kind": "lunar"}),
    "an expression that is none": lambda: _definition(schedule={"kind": "cron", "expression": "?", "tz": "UTC"}),
    "a zone that nobody knows": lambda: _definition(schedule={"kind": "cron", "expression": "* * * * *", "tz": "No"}),
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_definition_is_put_off_and_the_others_keep_their_time(
    mill: Tidemill, server: Server, caplog: pytest.LogCaptureFixture, damaged: Callable[[], bytes]
) -> None:
    keys = mill.client.scripts.keys
    began_ms = now_ms(mill)
    for name, definition in (("bad", damaged()), ("good", _definition())):
        server.client.hset(keys.recurring, name, definition)
        set_back(server, mill, name, began_ms - 10)
    with running_scheduler(mill):
        eventually(lambda: len(mill.inspect.jobs("default")) >= 1, "the good one has made its job")
        eventually(lambda: server.client.zscore(keys.occurrences, "bad") > began_ms, "the bad one was put off")
    assert server.client.zscore(keys.occurrences, "bad") >= began_ms + settings.BROKEN_DEFINITION_MS
    assert {job.task for job in mill.inspect.jobs("default")} == {"task"}
    assert server.client.hexists(keys.recurring, "bad"), "a person can look at it"
    assert "recurring job bad" in caplog.text


def test_an_occurrence_without_a_definition_is_dropped(mill: Tidemill, server: Server) -> None:
    keys = mill.client.scripts.keys
    set_back(server, mill, "nobody", now_ms(mill) - 10)
    with running_scheduler(mill):
        eventually(lambda: server.client.zscore(keys.occurrences, "nobody") is None, "it is gone")


def test_an_occurrence_that_nobody_starts_in_time_expires(mill: Tidemill, server: Server) -> None:
    @mill.task(name="tick", expires=0.3)
    def tick() -> None:
        pass

    declared = mill.every(timedelta(hours=1), tick)
    due_ms = now_ms(mill) // HOUR_MS * HOUR_MS
    set_back(server, mill, declared.name, due_ms)
    with running_scheduler(mill):
        job_id = declared.occurrence_id(due_ms)
        eventually(lambda: server.client.exists(f"tm:{{0}}:job:{job_id}"), "the occurrence is made")
        eventually(lambda: mill.job(job_id).state == "expired", "it expires")
