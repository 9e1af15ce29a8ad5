"""What no role may do on a server with the shipped ACL file, and what only one may; each act is really tried."""

from __future__ import annotations

from hashlib import sha256

import pytest
import redis
from click.testing import CliRunner
from redis.exceptions import NoPermissionError

from security.guarded import SHIPPED, GuardedServer
from tidemill.commands.acl import MIN_PASSWORD_CHARS, acl, variable
from tidemill.errors import InvalidInput
from tidemill.wire.permissions import ROLES, acl_file, rule

READY = "tm:{0}:ready:default:normal"
RECORD = "tm:{0}:job:a"
QUEUE = "tm:{0}:queue:default"

# Destroys what others rely on, or reaches out of the prefix: nobody's.
FOR_NOBODY = [
    "FLUSHALL",
    "FLUSHDB",
    "SHUTDOWN",
    "CONFIG GET *",
    "CONFIG SET maxmemory 1",
    "DEBUG SLEEP 0",
    "MONITOR",
    "REPLICAOF NO ONE",
    "SAVE",
    "ACL LIST",
    "ACL SETUSER tm-producer +@all",
    "SCRIPT FLUSH",
    "SCRIPT KILL",
    "FUNCTION FLUSH",
    "CLIENT PAUSE 1",
    "KEYS *",
    f"DEL {READY}",
    f"SET {READY} x",
    f"XTRIM {READY} MAXLEN 0",
    f"XGROUP DESTROY {READY} tidemill",
    f"XGROUP SETID {READY} tidemill 0",
    f"RENAME {READY} elsewhere",
    f"UNLINK {READY}",
    f"EXPIRE {RECORD} 1",
    f"SET {RECORD} x",
    "DEL tm:{0}:workers",
    "DEL tm:{0}:recurring",
    "DEL tm:{0}:events",
    f"DEL {QUEUE}",
    "SET other x",
    "GET other",
    "HGETALL tm:{1}:job:a",
    "HGETALL other:{0}:job:a",
    "SPUBLISH elsewhere x",
    "SSUBSCRIBE elsewhere",
    "SSUBSCRIBE tm:{0}:waiter*",
    "PUBLISH tm:{0}:control queues",
    "SUBSCRIBE tm:{0}:control",
    "PSUBSCRIBE *",
    "EVAL return(1) 0",
    f"COPY {RECORD} tm:{{0}}:job:b",
    f"MIGRATE 127.0.0.1 1 {RECORD} 0 1",
    f"RESTORE {RECORD} 0 x",
]

FORBIDDEN = {
    "producer": [
        f"XREADGROUP GROUP tidemill me STREAMS {READY} >",
        f"XACK {READY} tidemill 1-1",
        f"XDEL {READY} 1-1",
        f"XRANGE {READY} - +",
        f"XGROUP DELCONSUMER {READY} tidemill w1",
        f"XGROUP CREATE {READY} another 0",
        "ZADD tm:{0}:workers 1 me",
        "ZADD tm:{0}:dead:default 1 a",
        "HSET tm:{0}:tasks t default",
        "HGETALL tm:{0}:recurring",
        "SMEMBERS tm:{0}:queues",
        "SCAN 0",
    ],
    "worker": ["SMEMBERS tm:{0}:queues", "HGETALL tm:{0}:recurring", "SCAN 0", "SSUBSCRIBE tm:{0}:alarm"],
    "scheduler": [
        f"HGETALL {RECORD}",
        "SET tm:{0}:unique:00 a",
        "HSET tm:{0}:recurring every x",
        "SPUBLISH tm:{0}:control queues",
        "SCAN 0",
    ],
    "dashboard": [
        f"HGETALL {RECORD}",
        f"HMGET {RECORD} b",
        "HGETALL tm:{0}:recurring",
        "GET tm:{0}:unique:00",
        f"XADD {READY} * j a",
        f"XACK {READY} tidemill 1-1",
        f"HSET {QUEUE} paused 1",
        "ZREM tm:{0}:dead:default a",
        "SPUBLISH tm:{0}:control queues",
        "SSUBSCRIBE tm:{0}:waiter:x",
        "SCAN 0",
    ],
    "operator": [f"XREADGROUP GROUP tidemill me STREAMS {READY} >", "HSET tm:{0}:tasks t default"],
}

ACTS = [(role, act) for role in ROLES for act in (*FOR_NOBODY, *FORBIDDEN[role])]


@pytest.mark.parametrize(("role", "act"), ACTS, ids=[f"{role}: {act}" for role, act in ACTS])
def test_an_act_is_refused(guarded: GuardedServer, role: str, act: str) -> None:
    client = guarded.client_of(role)
    guarded.client.xgroup_create(READY, "tidemill", "0", mkstream=True)
    before = guarded.all_keys()
    with pytest.raises(NoPermissionError):
        client.execute_command(*act.split())
    client.close()
    assert guarded.all_keys() == before


@pytest.mark.parametrize("role", ROLES)
def test_a_script_of_ones_own_gives_no_right_that_one_has_not(guarded: GuardedServer, role: str) -> None:
    """SCRIPT LOAD and EVALSHA can't be narrowed to our scripts; the rules hold inside of every script."""
    client = guarded.client_of(role)
    guarded.client.xadd(READY, {"j": "a"})
    guarded.client.set("other", "secret")
    for text in (
        f"return redis.call('DEL', '{READY}')",
        f"return redis.call('SET', '{READY}', 'x')",
        "return redis.call('GET', 'other')",
        "return redis.call('FLUSHALL')",
        "return redis.call('CONFIG', 'GET', '*')",
    ):
        sha = client.script_load(text)
        with pytest.raises(redis.ResponseError, match=r"(can't|not allowed|permission|ACL failure)"):
            client.evalsha(sha, 0)
    client.close()
    assert guarded.all_keys() == ["other", READY]


def test_nobody_gets_in_without_a_role(guarded: GuardedServer) -> None:
    stranger = guarded.stranger()
    with pytest.raises(redis.AuthenticationError):
        stranger.ping()
    stranger.close()


def test_the_shipped_file_is_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ROLES:
        monkeypatch.delenv(variable(role), raising=False)
    found = CliRunner().invoke(acl, [])
    assert (found.exit_code, found.output) == (0, SHIPPED.read_text(encoding="utf-8"))
    assert found.output == acl_file("tm", {})


def test_the_shipped_file_has_no_password() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    assert "nopass" not in text
    assert not any(word[0] in "><#!" for word in text.split())
    assert text.count(" on resetpass ") == len(ROLES)


def test_only_the_digest_of_a_password_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    password = " ".join(("correct", "horse", "battery", "staple"))
    monkeypatch.setenv(variable("worker"), password)
    printed = CliRunner().invoke(acl, ["--prefix", "shop"]).output
    assert f"user shop-worker on #{sha256(password.encode()).hexdigest()} {rule('shop', 'worker')}\n" in printed
    assert password not in printed
    assert "tm:" not in printed


def test_a_short_password_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable("producer"), "hunter2")
    with pytest.raises(InvalidInput, match=f"at least {MIN_PASSWORD_CHARS} characters") as refused:
        acl.main([], standalone_mode=False)
    assert "hunter2" not in str(refused.value)
