"""`tidemill queues`."""

from __future__ import annotations

import pytest

from cli.in_process import Group
from conditions import eventually
from fleet import running_fleet
from tidemill import QueueFull, Tidemill, call

GROUP = Group("queues")
run, answer = GROUP.run, GROUP.answer


def test_queues_are_listed_with_their_figures(mill: Tidemill, url: str) -> None:
    assert run(url, "list").stdout == "no queues\n"
    mill.named("a.task").using(queue="images").enqueue_many([call(1), call(2)])
    mill.named("a.task").using(queue="images", delay=60).enqueue()
    (found,) = answer(url, "list")
    assert (found["queue"], found["ready"], found["scheduled"], found["paused"]) == ("images", 2, 1, False)
    heads, row = run(url, "list").stdout.splitlines()
    assert heads.split()[:3] == ["queue", "scheduled", "ready"]
    assert row.split()[:3] == ["images", "1", "2"]


def test_a_queue_is_paused_and_resumed(mill: Tidemill, url: str) -> None:
    assert run(url, "pause", "images").stdout == "images is paused\n"
    assert answer(url, "list")[0]["paused"] is True
    assert run(url, "list").stdout.splitlines()[1].endswith("paused")
    assert answer(url, "pause", "images") == {"queue": "images", "paused": True}
    assert run(url, "resume", "images").stdout == "images is open\n"
    assert answer(url, "resume", "images") == {"queue": "images", "paused": False}
    assert answer(url, "list")[0]["paused"] is False


def test_a_purge_asks_first(mill: Tidemill, url: str) -> None:
    mill.named("a.task").enqueue_many([call(1), call(2)])
    refused = run(url, "purge", "default", typed="n\n")
    assert (refused.exit_code, "Cancel all waiting jobs of default?" in refused.output) == (1, True)
    assert run(url, "purge", "default", typed="").exit_code == 1
    assert run(url, "purge", "default", "--json").exit_code == 2
    assert mill.inspect.queue("default").waiting == 2
    assert run(url, "purge", "default", typed="y\n").stdout.endswith("2 jobs of default were cancelled\n")
    assert answer(url, "purge", "default", "--yes") == {"queue": "default", "cancelled": 0}


def test_a_queue_is_throttled_and_the_limits_are_shown(mill: Tidemill, url: str) -> None:
    @mill.task(name="pay", rate="1/m", rate_key="customer", concurrency=2)
    def pay(customer: str) -> None: ...

    assert run(url, "limits").stdout == "no limits\n"
    throttled = run(url, "throttle", "default", "--rate=50/s burst 3", "--concurrency=4")
    assert throttled.stdout == "default: rate ≤ 50/s burst 3, concurrency ≤ 4\n"
    with running_fleet(mill):
        for customer in ("ann", "ann", "ann", "bob", "bob"):
            pay.enqueue(customer)
        eventually(lambda: mill.inspect.limits()[1].waiting == 3, "three wait")
        shown = run(url, "limits").stdout.splitlines()
        assert shown[0].startswith("pay  concurrency: 2 at once  used ")
        assert shown[1] == "pay  rate: one in 60000 ms, burst 1  used 0  waiting 3 in 2 lines"
        assert [line.partition("  used")[0] for line in shown[2:]] == [
            "queue default  concurrency: 4 at once",
            "queue default  rate: one in 20 ms, burst 3",
        ]
    assert {one["name"] for one in answer(url, "limits")} == {"pay", "queue default"}
    assert run(url, "throttle", "default").stdout == "default: no limit\n"
    assert run(url, "throttle", "default", "--rate=many").exit_code == 2


def test_a_queue_is_limited(mill: Tidemill, url: str) -> None:
    assert run(url, "limit", "default", "1").stdout == "default: jobs ≤ 1\n"
    mill.enqueue("a.task")
    with pytest.raises(QueueFull):
        mill.enqueue("a.task")
    assert answer(url, "list")[0]["limit"] == 1
    limits = {"limit": None, "limit_bytes": 1000, "limit_age_ms": None}
    assert answer(url, "limit", "default", "--bytes=1000") == {"queue": "default", **limits}
    assert limits.items() <= answer(url, "list")[0].items()
    assert run(url, "limit", "default", "--bytes=1000").stdout == "default: bytes ≤ 1000\n"
    assert run(url, "limit", "default", "5", "--age=2m").stdout == "default: jobs ≤ 5, age ≤ 120 s\n"
    assert answer(url, "list")[0]["limit_age_ms"] == 120_000
    assert run(url, "limit", "default", "0").stdout == "default: no limit\n"
    assert mill.enqueue("a.task").state == "ready"
    for wrong in ("few", "-1", "--bytes=0", "--age=30", "--age=0s"):
        assert run(url, "limit", "default", wrong).exit_code == 2
    assert run(url, "limit", "Default", "5").exit_code == 2


def test_a_queue_is_given_a_durability(mill: Tidemill, url: str) -> None:
    mill.enqueue("a.task")
    assert answer(url, "list")[0]["durability"] == "aof"
    refused = run(url, "durability", "default", "replicated")
    assert (refused.exit_code, "the server has no replica that is online" in refused.output) == (1, True)
    assert run(url, "durability", "default", "paper").exit_code == 2
    mill.client.link.run(mill.client.scripts.configure("default", {"durability": "fsync", "paused": "1"}))
    assert answer(url, "list")[0]["durability"] == "fsync"
    assert run(url, "list").stdout.splitlines()[1].split()[-2:] == ["paused", "fsync"]
    assert answer(url, "durability", "default", "aof") == {"queue": "default", "durability": "aof"}
    assert run(url, "durability", "default", "aof").stdout == "default: aof\n"
    assert answer(url, "list")[0]["durability"] == "aof"


def test_tenants_are_listed_weighed_and_limited(mill: Tidemill, url: str) -> None:
    assert run(url, "tenants", "default").stdout == "no tenant waits\n"
    mill.named("a.task").using(tenant="acme").enqueue_many([call() for _ in range(5)])
    assert run(url, "weight", "default", "acme", "3").stdout == "default: acme weighs 3\n"
    assert answer(url, "weight", "default", "", "0.5") == {"queue": "default", "tenant": "", "weight": 0.5}
    assert run(url, "tenant-limit", "default", "3").stdout == "default: each tenant ≤ 3 jobs\n"
    limited = answer(url, "tenant-limit", "default", "4", "--tenant=acme")
    assert limited == {"queue": "default", "tenant": "acme", "limit": 4}
    found = answer(url, "tenants", "default")
    assert [(one["name"], one["waiting"], one["limit"], one["weight"]) for one in found] == [
        ("acme", 3, 4, 3.0),
        ("", 0, 3, 0.5),
    ]
    heads, row, _ = run(url, "tenants", "default").stdout.splitlines()
    assert heads.split() == ["tenant", "waiting", "limit", "weight"]
    assert row.split()[1:] == ["3", "4", "3", "acme"]
    assert len(answer(url, "tenants", "default", "--limit=1")) == 1
    assert run(url, "tenant-limit", "default").stdout == "default: no limit of each tenant\n"
    assert run(url, "weight", "default", "acme", "1").stdout == "default: acme weighs 1\n"
    assert answer(url, "tenants", "default")[0]["weight"] == 1.0
    for wrong in (("weight", "default", "acme", "1000"), ("tenant-limit", "default", "few"), ("tenants", "Default")):
        assert run(url, *wrong).exit_code == 2
