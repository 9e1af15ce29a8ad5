"""A queue without a durability pays nothing for there being one."""

from __future__ import annotations

import threading

from commands_seen import commands_during
from conditions import eventually
from servers import Server
from tidemill import Tidemill, call


def test_an_enqueue_sends_one_command(server: Server, mill: Tidemill) -> None:
    named = mill.named("a.task").using(queue="default")
    named.enqueue()  # connects, and loads the script
    done = threading.Event()

    def enqueue() -> None:
        # MONITOR begins in another thread: PING marks that it hears.
        eventually(lambda: b"cmd=monitor" in server.client.execute_command("CLIENT", "LIST", "TYPE", "normal"), "seen")
        named.enqueue()
        named.enqueue_in(60)
        named.enqueue_many([call(1), call(2)])
        done.set()

    worker = threading.Thread(target=enqueue)
    worker.start()
    lines = commands_during(server, 2.0)
    worker.join()
    assert done.is_set()
    ours = [line for line in lines if '"CLIENT"' not in line and '"client"' not in line]
    assert len(ours) == 3, ours
    assert all('"EVALSHA"' in line for line in ours)
