"""What errors of the server mean."""

from __future__ import annotations

import pytest

from tidemill.faults import Fault, classify

CASES = [
    ("LOADING Redis is loading the dataset in memory", Fault.BUSY),
    ("CLUSTERDOWN The cluster is down", Fault.BUSY),
    ("CLUSTERDOWN Hash slot not served", Fault.BUSY),
    ("TRYAGAIN Multiple keys request during rehashing of slot", Fault.BUSY),
    ("ASK 3999 127.0.0.1:6381", Fault.MOVED),
    ("MASTERDOWN Link with MASTER is down", Fault.BUSY),
    ("BUSY Redis is busy running a script", Fault.BUSY),
    ("BUSYGROUP Consumer Group name already exists", Fault.WRONG),
    ("ERR max number of clients reached", Fault.BUSY),
    ("ERR Error running script: Script killed by user with SCRIPT KILL...", Fault.BUSY),
    ("DENIED Valkey is running in protected mode because protected mode is enabled", Fault.DENIED),
    ("EXECABORT Transaction discarded because of previous errors.", Fault.WRONG),
    ("CROSSSLOT Keys in request don't hash to the same slot", Fault.WRONG),
    ("ERR Protocol error: invalid bulk length", Fault.WRONG),
    ("BUSYKEY Target key name already exists.", Fault.WRONG),
    ("UNKILLABLE Sorry the script already executed write commands", Fault.WRONG),
    ("NOREPLICAS Not enough good replicas to write.", Fault.BUSY),
    ("MISCONF Valkey is configured to save RDB snapshots", Fault.BUSY),
    ("READONLY You can't write against a read only replica.", Fault.MOVED),
    ("You can't write against a read only replica.", Fault.MOVED),
    ("-READONLY You can't write", Fault.MOVED),
    ("MOVED 3999 127.0.0.1:6381", Fault.MOVED),
    ("UNBLOCKED force unblock", Fault.MOVED),
    ("NOSCRIPT No matching script. Please use EVAL.", Fault.NO_SCRIPT),
    ("No matching script. Please use EVAL.", Fault.NO_SCRIPT),
    ("NOGROUP No such key 'x' or consumer group", Fault.NO_GROUP),
    ("OOM command not allowed when used memory > 'maxmemory'.", Fault.FULL),
    ("command not allowed when used memory > 'maxmemory'.", Fault.FULL),
    ("NOAUTH Authentication required.", Fault.DENIED),
    ("Authentication required.", Fault.DENIED),
    ("WRONGPASS invalid username-password pair", Fault.DENIED),
    ("NOPERM this user has no permissions to run the 'info' command", Fault.DENIED),
    ("this user has no permissions to access one of the keys", Fault.DENIED),
    ("ERR Protocol error: unauthenticated multibulk length", Fault.DENIED),
    ("The user executing the script can't run this command or subcommand script: f1, on @user_script:2", Fault.DENIED),
    ("The user executing the script can't access at least one of the keys mentioned in the command", Fault.DENIED),
    ("ACL failure in script: User app has no permissions to run the 'sadd' command script: on @user", Fault.DENIED),
    ("ACL failure in script: No permissions to access a key script: on @user_script:1.", Fault.DENIED),
    ("ERR unknown command 'X'", Fault.WRONG),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", Fault.WRONG),
    ("", Fault.WRONG),
]


@pytest.mark.parametrize(("message", "fault"), CASES, ids=[message[:30] for message, _ in CASES])
def test_an_error_is_known_by_its_first_word_or_by_what_the_driver_left_of_it(message: str, fault: Fault) -> None:
    assert classify(message) is fault


@pytest.mark.parametrize(("message", "fault"), CASES, ids=[message[:30] for message, _ in CASES])
def test_an_error_means_the_same_after_the_driver_has_read_it(message: str, fault: Fault) -> None:
    from redis._parsers.base import BaseParser

    from tidemill.connection.driver import fault_of

    error: Exception = BaseParser.parse_error(message.removeprefix("-"))  # type: ignore[no-untyped-call] # redis-py's
    assert fault_of(error) is fault


def test_the_table_of_the_module_names_every_fault() -> None:
    from tidemill import faults

    assert faults.__doc__
    assert {line.split("|")[1].strip() for line in faults.__doc__.splitlines() if line.startswith("| ")} - {
        "fault",
        "---",
    } == {fault.name for fault in Fault}
