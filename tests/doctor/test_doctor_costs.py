"""What the doctor costs the server: many short scripts, never a long one."""

from __future__ import annotations

from servers import Server
from tidemill import Tidemill, call

JOBS = 10_000
# Nobody else should wait for longer. In the server's processor time, since on a busy machine the server waits too.
MOST_MS_PER_SCRIPT = 2.0


def cpu_ms(server: Server) -> float:
    used = server.client.info("cpu")
    return 1000 * float(used["used_cpu_user"] + used["used_cpu_sys"])


def test_many_jobs_are_looked_at_in_short_scripts(mill: Tidemill, server: Server) -> None:
    waiting, delayed = mill.named("a.task"), mill.named("a.task").using(queue="later", delay=3600)
    for task in (waiting, delayed):
        task.enqueue_many([call(number) for number in range(JOBS // 2)])
    server.client.config_resetstat()
    before_ms = cpu_ms(server)
    report = mill.doctor()
    used_ms = cpu_ms(server) - before_ms
    assert report.healthy
    assert (report.records, report.tickets) == (JOBS, JOBS // 2)
    commands = server.client.info("commandstats")
    assert used_ms / commands["cmdstat_evalsha"]["calls"] < MOST_MS_PER_SCRIPT
    assert "cmdstat_keys" not in commands
