"""What an error of the server or the network means: one place, by the first word of the message.

| fault | was the command applied? | what to do |
| --- | --- | --- |
| LOST | unknown | drop the connection and send the same command again: every command of ours is idempotent |
| BUSY | no | wait and send again: the server is loading, short of replicas, paused or running a script |
| MOVED | no | drop every connection: this server is no longer the primary |
| NO_SCRIPT | no | load the script, send again |
| NO_GROUP | no | create the consumer groups at 0, send again |
| FULL | no | `maxmemory` is reached: new work is refused, draining goes on |
| DENIED | no | credentials or permissions: do not try again |
| WRONG | perhaps | anything else is a bug or foreign data: raise |
"""

from __future__ import annotations

from enum import Enum, auto


class Fault(Enum):
    LOST = auto()
    BUSY = auto()
    MOVED = auto()
    NO_SCRIPT = auto()
    NO_GROUP = auto()
    FULL = auto()
    DENIED = auto()
    WRONG = auto()


_BY_WORD = {
    "LOADING": Fault.BUSY,
    "MASTERDOWN": Fault.BUSY,
    "CLUSTERDOWN": Fault.BUSY,
    "TRYAGAIN": Fault.BUSY,
    "NOREPLICAS": Fault.BUSY,
    "MISCONF": Fault.BUSY,
    "BUSY": Fault.BUSY,
    "READONLY": Fault.MOVED,
    "UNBLOCKED": Fault.MOVED,
    "MOVED": Fault.MOVED,
    "ASK": Fault.MOVED,
    "NOSCRIPT": Fault.NO_SCRIPT,
    "NOGROUP": Fault.NO_GROUP,
    "OOM": Fault.FULL,
    "NOAUTH": Fault.DENIED,
    "NOPERM": Fault.DENIED,
    "WRONGPASS": Fault.DENIED,
}

# redis-py replaces some messages by its own and strips the first word of others.
_BY_TEXT = {
    "Redis is loading": Fault.BUSY,
    "max number of clients": Fault.BUSY,
    "No matching script": Fault.NO_SCRIPT,
    "No such key": Fault.NO_GROUP,
    "command not allowed when used memory": Fault.FULL,
    "against a read only replica": Fault.MOVED,
    "uthentication": Fault.DENIED,
    "invalid username-password": Fault.DENIED,
    "has no permissions": Fault.DENIED,
    "This Redis command is not allowed": Fault.DENIED,
}


def classify(message: str) -> Fault:
    """The fault that an error reply's text stands for."""
    word = message.removeprefix("-").split(" ", 1)[0].rstrip(":")
    known = _BY_WORD.get(word)
    if known is not None:
        return known
    return next((fault for text, fault in _BY_TEXT.items() if text in message), Fault.WRONG)
