"""What each role may do on the server, as ACL rules of Redis and Valkey: one user a role, for one prefix.

The rule of a user carries no keys itself. Each selector, in parentheses, pairs commands with the one kind of key that
they are needed on. A flat rule would be a trap: a user who may DEL a lock and XADD to a stream could DEL the stream.
The server checks the same rules inside of scripts, on every call and every key, declared or not. So EVALSHA and
SCRIPT LOAD give nobody a right that he has not without them.

| role | for | may |
| --- | --- | --- |
| producer | applications | enqueue, wait for results, cancel, publish recurring jobs and templates |
| worker | `tidemill worker` | all that a producer may, since jobs enqueue jobs; take, run and settle |
| scheduler | `tidemill scheduler` | promote, recover, expire, shed, sweep, make recurring jobs |
| dashboard | a look from outside | queues, workers, events, ids of jobs; no job's arguments, result or error |
| operator | people | read everything; pause, limit, purge, cancel, repair; retry and remove dead letters |

docs/security.md says what can't be narrowed. Only commands that Redis 7.0 knows stand here: one that is not known
makes the whole file unreadable for the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tidemill.wire.keys import Keys

# Kind of key, as in the table of keys.py -> commands. "*": any key.
Grants = Mapping[str, str]

# Connecting, and what a process looks at when it has connected. @connection also has the commands of CLIENT that
# reach other connections: those are taken out.
_CONNECTING: Final = (
    "+@connection -client|kill -client|list -client|pause -client|unpause -client|unblock -client|no-evict "
    "-client|reply +info +time +role +script|load"
)

# EVALSHA needs every key of its call in one selector; what it may do to them is in the others.
_SCRIPTS: Final[Grants] = {"*": "evalsha type"}

_PRODUCER: Final[Grants] = {
    "job:*": "hmget hgetall hset hdel del exists",
    "wheel:*": "zadd zcard zrem",
    "agenda": "zadd zcount",
    "line:*": "zadd zcard zrange zrem",
    "called:*": "zrem",
    "permits:*": "zrem",
    "ready:*": "xadd xlen xinfo|groups",
    "turns:*": "zadd zcard zscore zrem exists del",
    "tenant:*": "zadd zcard zrem exists",
    "tenants:*": "hget hmget",
    "done:*": "zadd zcard zpopmin",
    "parked:*": "zrem",
    "expiring": "zadd zrange zrem",
    "unique:*": "get set del",
    "queues": "sadd",
    "watched": "zadd",
    "queue:*": "hget hmget hset hincrby",
    "tasks": "hget",
    "recurring": "hget hset hdel",
    "occurrences": "zadd zscore zrem",
    "events": "xadd",
    "breaker:*": "hget hmget hgetall hset hdel hincrby del pexpire",
    "breakers": "zadd zremrangebyscore pexpire",
    "templates": "sadd smembers",
    "template:*": "hget hmget hgetall hset hdel",
    "content:*": "get set exists pexpire",
    "versions:*": "zadd zcard zrange zrem",
    "retired:*": "zadd zrange zrem zscore",
}

_RUNNING: Final[Grants] = {
    "job:*": "hexists",
    "wheel:*": "zadd",
    "agenda": "zrem",
    "limits": "hget hset hdel",
    "limit:*": "get set",
    "called:*": "zadd zcount",
    "permits:*": "zadd zcard",
    "ready:*": "xreadgroup xack xdel xpending xclaim xrange xgroup|create xgroup|delconsumer",
    "turns:*": "zrange",
    "tenant:*": "zpopmin",
    "dead:*": "zadd",
    "parked:*": "zadd zrange",
    "queue:*": "hexists",
    "tasks": "hset",
    "workers": "zadd zscore zrem",
    "departed": "zadd zrem",
    "worker:*": "hset pexpire del exists",
    "once:*": "hmget hset hdel pexpire del",
    "hot:*": "zincrby zrange zmscore zremrangebyrank pexpire",
    "hits:*": "hincrby hmget pexpire",
}

_SCHEDULER: Final[Grants] = {
    "job:*": "hmget hset hdel del exists",
    "wheel:*": "zrange zadd zrem zcard",
    "agenda": "zrange zadd zrem zcount",
    "limits": "hget",
    "limit:*": "get",
    "line:*": "zadd zcard zrange zrem",
    "called:*": "zadd zcount zrem",
    "permits:*": "zcard zrem",
    "ready:*": "xadd xlen xreadgroup xack xdel xpending xrange xinfo|groups xgroup|create xgroup|delconsumer",
    "turns:*": "zadd zcard zscore zrange zrem exists del",
    "tenant:*": "zadd zrange zrem zpopmin exists",
    "tenants:*": "hget",
    "dead:*": "zadd zcard zrange zrem",
    "done:*": "zadd zcard zrange zrem zpopmin",
    "parked:*": "zrem",
    "expiring": "zadd zrange zrem",
    "unique:*": "get del",
    "queues": "sadd smembers",
    "watched": "zrange zadd zrem",
    "queue:*": "hget hmget hset hincrby hgetall",
    "recurring": "hget hdel",
    "occurrences": "zrange zadd zscore zrem",
    "workers": "zrange zadd zscore zrem",
    "departed": "zrange zadd zrem",
    "worker:*": "hgetall del",
    "events": "xadd",
}

_DASHBOARD: Final[Grants] = {
    "wheel:*": "zcard zrange",
    "ready:*": "xlen xpending xrange xinfo|groups",
    "turns:*": "zrange zcard",
    "tenant:*": "zrange zcard",
    "tenants:*": "hgetall",
    "dead:*": "zcard zrange",
    "done:*": "zcard zrange",
    "queues": "smembers",
    "queue:*": "hgetall",
    "workers": "zrange",
    "worker:*": "hgetall",
    "events": "xlen xrange xrevrange xread",
    "breaker:*": "hget hmget hgetall",
    "breakers": "zrange",
    "templates": "smembers",
    "template:*": "hget hmget hgetall",
    "hot:*": "zrange zmscore",
    "hits:*": "hmget",
}

_STEERING: Final[Grants] = {
    "*": "@read -@dangerous",
    "ready:*": "xack xdel xclaim xgroup|create xgroup|delconsumer",
    "dead:*": "zadd zrem",
    "done:*": "zrem",
    "parked:*": "zadd",
    "line:*": "zrem",
    "called:*": "zrem",
    "permits:*": "zrem",
    "agenda": "zrem",
    "queue:*": "hdel",
    "tenants:*": "hset hdel",
    "workers": "zadd zrem",
    "worker:*": "hset pexpire del",
    "audit": "xadd",
    "content:*": "persist",
}

ROLES: Final[dict[str, tuple[Grants, ...]]] = {
    "producer": (_SCRIPTS, _PRODUCER),
    "worker": (_SCRIPTS, _PRODUCER, _RUNNING),
    "scheduler": (_SCRIPTS, _SCHEDULER),
    "dashboard": (_SCRIPTS, _DASHBOARD),
    "operator": (_SCRIPTS, _PRODUCER, _STEERING),
}

# Role -> (channels that it publishes on, channels that it listens to).
_CHANNELS: Final[dict[str, tuple[str, str]]] = {
    "producer": ("alarm control breakers templates waiter:*", "breakers waiter:*"),
    "worker": ("alarm control breakers templates waiter:*", "breakers control templates waiter:*"),
    "scheduler": ("alarm waiter:*", "alarm"),
    "dashboard": ("", ""),
    "operator": ("alarm control breakers templates waiter:*", "breakers waiter:*"),
}

_ADMINISTRATION: Final = "+client|list +client|kill +slowlog|get +latency|latest +acl|log +acl|whoami +scan"


def user_name(prefix: str, role: str) -> str:
    return f"{prefix}-{role}"


def rule(prefix: str, role: str) -> str:
    """What follows a user's name and passwords in ACL SETUSER, or in an ACL file."""
    root = Keys(prefix).root
    parts = ["-@all", "resetkeys", "resetchannels", _CONNECTING]
    if role == "operator":
        parts.append(_ADMINISTRATION)
    parts += [f"({_commands(words)} {_keys(root, kinds)})" for words, kinds in _selectors(ROLES[role]).items()]
    for command, channels in zip(("+spublish", "+ssubscribe"), _CHANNELS[role], strict=True):
        if channels:
            parts.append(f"(resetchannels {command} {' '.join(f'&{root}{channel}' for channel in channels.split())})")
    return " ".join(parts)


def acl_file(prefix: str, passwords: Mapping[str, str]) -> str:
    """A whole ACL file. `passwords`: role -> SHA-256 of its password in hex; a role without one can't log in."""
    lines = ["user default off"]
    for role in ROLES:
        password = f"#{passwords[role]}" if role in passwords else "resetpass"
        lines.append(f"user {user_name(prefix, role)} on {password} {rule(prefix, role)}")
    return "\n".join(lines) + "\n"


def _selectors(grants: tuple[Grants, ...]) -> dict[str, list[str]]:
    """Commands -> the kinds of key that they are granted on: few selectors, since the server tries them in turn."""
    merged: dict[str, list[str]] = {}
    for part in grants:
        for kind, words in part.items():
            known = merged.setdefault(kind, [])
            known += [word for word in words.split() if word not in known]
    selectors: dict[str, list[str]] = {}
    for kind, known in merged.items():
        selectors.setdefault(" ".join(known), []).append(kind)
    return selectors


def _commands(words: str) -> str:
    return " ".join(word if word.startswith("-") else f"+{word}" for word in words.split())


def _keys(root: str, kinds: list[str]) -> str:
    return " ".join(f"~{root}{kind}" for kind in kinds)
