"""What dead letters cost the server: many short scripts, never a long one, and nothing where there are none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dead_letters.letters import make_letters
from servers import Server
from tidemill import RemoteError, Tidemill
from tidemill_consumers import settings

LETTERS = 2_000
# Nobody else should wait for longer. In the server's processor time, since on a busy machine the server waits too.
MOST_MS_PER_SCRIPT = 2.0
# As long as workers record them.
LONG = RemoteError("ValueError", "m" * settings.MAX_ERROR_CHARS, "t" * settings.MAX_TRACEBACK_CHARS)


def cpu_ms(server: Server) -> float:
    used = server.client.info("cpu")
    return 1000 * float(used["used_cpu_user"] + used["used_cpu_sys"])


@pytest.mark.parametrize("what", ["counts", "retry", "purge", "history"])
def test_whatever_is_done_to_many_is_done_in_short_scripts(mill: Tidemill, server: Server, what: str) -> None:
    ids = make_letters(mill, LETTERS, error=LONG, died_ms=1_000_000)
    letters = mill.dead_letters
    server.client.config_resetstat()
    before_ms = cpu_ms(server)
    match what:
        case "counts":
            assert letters.counts(text="nowhere") == {}
        case "retry":
            assert letters.retry_all(queue="default").done == LETTERS
        case "purge":
            assert letters.purge(before=timedelta(0)).done == LETTERS
        case _:
            assert letters.history(ids[0]).record is not None
    used_ms = cpu_ms(server) - before_ms
    commands = server.client.info("commandstats")
    calls = sum(found["calls"] for name, found in commands.items() if name in SENT)
    assert used_ms / calls < MOST_MS_PER_SCRIPT
    assert "cmdstat_keys" not in commands


SENT = ("cmdstat_evalsha", "cmdstat_xrevrange", "cmdstat_hgetall")


def test_a_page_among_many_that_died_at_once_costs_no_more_than_another(mill: Tidemill, server: Server) -> None:
    """It is searched for by halves: 2,000 of one millisecond cost eleven looks."""
    make_letters(mill, LETTERS, died_ms=1_000_000)
    cursor = None
    for _ in range(20):
        cursor = mill.dead_letters.browse(queue="default", cursor=cursor, limit=50).cursor
    server.client.config_resetstat()
    mill.dead_letters.browse(queue="default", cursor=cursor, limit=25)
    commands = server.client.info("commandstats")
    assert commands["cmdstat_evalsha"]["calls"] == 1
    assert commands["cmdstat_zrange"]["calls"] <= 13
