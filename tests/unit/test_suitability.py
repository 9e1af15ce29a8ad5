"""Which servers are fit to hold jobs, by their answer to INFO."""

from __future__ import annotations

import pytest

from tidemill import ServerUnsuitable
from tidemill.suitability import examine, online_replicas, parse_info
from tidemill.target import Target

GOOD = {
    "redis_version": "7.2.4",
    "role": "master",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
    "maxmemory": "9",
}


@pytest.mark.parametrize("version", ["7.0.0", "7.0.15", "8.2.1", "9.1.0", "255.255.255", "8.0-rc1", "10.0.0"])
def test_a_good_server_needs_no_words(version: str) -> None:
    assert examine({**GOOD, "redis_version": version}) == []


@pytest.mark.parametrize("version", ["6.2.14", "6.9", "2.8.0", "unknown", ""])
def test_an_old_server_is_refused(version: str) -> None:
    with pytest.raises(
        ServerUnsuitable, match=f"the server is version {version}, but Tidemill needs Redis 7.0 or newer"
    ):
        examine({**GOOD, "redis_version": version})


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_server_that_evicts_any_key_is_refused(policy: str) -> None:
    with pytest.raises(
        ServerUnsuitable, match=rf"is {policy}: .*Set it to noeviction \(CONFIG SET maxmemory-policy noeviction"
    ):
        examine({**GOOD, "maxmemory_policy": policy})


def test_a_replica_is_refused() -> None:
    with pytest.raises(ServerUnsuitable, match="is a replica, which refuses writes: connect to its primary"):
        examine({**GOOD, "role": "slave"})


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"maxmemory_policy": "volatile-ttl"}, "maxmemory-policy is volatile-ttl; set it to noeviction"),
        ({"aof_enabled": "0"}, "appendonly is off: what was enqueued since the last snapshot is lost"),
        ({"connected_slaves": "1"}, "min-replicas-to-write is 0 though it has replicas"),
        ({"maxmemory": "0"}, "maxmemory is not set: a backlog can take all memory of its host"),
    ],
)
def test_what_can_cost_jobs_is_warned_of(changes: dict[str, str], warning: str) -> None:
    (found,) = examine({**GOOD, **changes})
    assert found.startswith(warning)


@pytest.mark.parametrize(
    "changes", [{"connected_slaves": "0"}, {"connected_slaves": "1", "min_slaves_good_slaves": "1"}]
)
def test_a_server_with_a_least_number_of_replicas_or_with_none_needs_no_words(changes: dict[str, str]) -> None:
    assert examine({**GOOD, **changes}) == []


def test_replicas_that_still_load_are_not_counted() -> None:
    section = "role:master\r\nconnected_slaves:2\r\nslave0:ip=::1,port=1,state=online,offset=9,lag=0\r\n"
    assert online_replicas(section) == 1
    assert online_replicas(section + "slave1:ip=::1,port=2,state=wait_bgsave,offset=0,lag=0\r\n") == 1
    assert online_replicas("role:master\r\nconnected_slaves:0\r\n") == 0


def test_the_answer_of_info_is_read_as_text() -> None:
    answer = "# Server\r\nredis_version:8.2.1\r\nexecutable:/usr/bin/a:b\r\n\r\n# Memory\r\nmaxmemory:0\r\n"
    assert parse_info(answer) == {"redis_version": "8.2.1", "executable": "/usr/bin/a:b", "maxmemory": "0"}


def test_a_server_that_is_loading_is_examined_later(caplog: pytest.LogCaptureFixture) -> None:
    target = Target(lambda: "redis://127.0.0.1:1/0")
    examined: list[bool] = []
    for loading in (1, 0):
        target.examine(f"redis_version:9.1.2\r\nloading:{loading}\r\naof_enabled:0\r\n".encode())
        examined.append(target.examined)
        assert ("appendonly is off" in caplog.text) == target.examined
    assert examined == [False, True]
