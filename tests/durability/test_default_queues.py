"""A queue without a durability pays nothing for there being one."""

from __future__ import annotations

from commands_seen import commands_seen
from servers import Server
from tidemill import Tidemill, call


def test_an_enqueue_sends_one_command(server: Server, mill: Tidemill) -> None:
    named = mill.named("a.task").using(queue="default")
    named.enqueue()  # connects, and loads the script
    with commands_seen(server) as lines:
        named.enqueue()
        named.enqueue_in(60)
        named.enqueue_many([call(1), call(2)])
    assert len(lines) == 3, lines
    assert all('"EVALSHA"' in line for line in lines)
