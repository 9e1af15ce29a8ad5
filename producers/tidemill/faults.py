"""What an error of the server or the network means: one place, by the first word of the message.

| fault | was the command applied? | what to do |
| --- | --- | --- |
| LOST | unknown | drop the connection and send the same command again: every command of ours is idempotent |
| BUSY | no | wait and send again: the server is loading, full of clients, short of replicas or disk, or runs a script |
| MOVED | no | drop every connection: this server is no longer the primary |
| NO_SCRIPT | no | load the script, send again |
| NO_GROUP | no | create the consumer groups at 0, send again |
| FULL | no | `maxmemory` is reached: new work is refused, draining goes on |
| DENIED | no; a script's first commands perhaps | credentials or permissions: do not try again |
| WRONG | perhaps | anything else is a bug or foreign data: raise |

"No" holds for a command that stands alone, as each of ours does: a script is refused before it begins, or is stopped
before it has written anything. An error out of the middle of a script (`WRONGTYPE … script:`) is WRONG.
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
    "DENIED": Fault.DENIED,
}

# redis-py replaces some messages by its own and strips the first word of others.
_BY_TEXT = {
    "Redis is loading": Fault.BUSY,
    "max number of clients": Fault.BUSY,
    # SCRIPT KILL, which the server refuses once the script has written something.
    "Script killed by user": Fault.BUSY,
    "No matching script": Fault.NO_SCRIPT,
    "No such key": Fault.NO_GROUP,
    "command not allowed when used memory": Fault.FULL,
    "against a read only replica": Fault.MOVED,
    "uthentication": Fault.DENIED,
    # To a client without a password a server says this instead of NOAUTH when the command is long, as a script call is.
    "unauthenticated": Fault.DENIED,
    "invalid username-password": Fault.DENIED,
    "has no permissions": Fault.DENIED,
    "This Redis command is not allowed": Fault.DENIED,
    "The user executing the script can't": Fault.DENIED,  # Redis 7.0, where others say NOPERM
    "ACL failure in script": Fault.DENIED,  # Redis 7.2 and newer, and Valkey
}


def classify(message: str) -> Fault:
    """The fault that an error reply's text stands for."""
    word = message.removeprefix("-").split(" ", 1)[0].rstrip(":")
    known = _BY_WORD.get(word)
    if known is not None:
        return known
    return next((fault for text, fault in _BY_TEXT.items() if text in message), Fault.WRONG)
