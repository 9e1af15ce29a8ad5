"""Cost on the server of a delayed job, beside a backlog that grows: python -m benchmarks.backlog SIZE …; prints JSON.

Talks to the scripts directly, since a backlog of millions is to be there soon. A cost is the CPU time of the server's
main thread (`INFO cpu`), in µs for each job: what else the machine does is not in it. With it comes where the scripts
spend their time (`INFO commandstats`, also in µs for each job, but of wall time): by command, and in Lua itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from random import Random
from typing import Any, Final

from redis.exceptions import NoScriptError

from benchmarks.bare import connect
from benchmarks.system import TEXT
from tidemill.ids import new_id
from tidemill.wire.command import Command
from tidemill.wire.envelope import Codec
from tidemill.wire.keys import Keys
from tidemill.wire.scripts import NewJob, NewJobs, Scripts

QUEUE: Final = "default"
# Jobs of one call while the backlog is filled: fewer calls, still short ones.
FILL_CHUNK: Final = 1_000
# As in production: see ENQUEUE_CHUNK_JOBS and PROMOTE_BATCH.
BATCH: Final = 200
# Calls of each kind in one measurement: 4,000 jobs, fewer than the smallest backlog has.
CALLS: Final = 20
# The backlog is due in the far future, so that nobody's clock matters.
FIRST_DUE_MS: Final = 4_000_000_000_000
SPREAD_MS: Final = 86_400_000
PRODUCERS: Final = 2
# Nobody takes what is promoted, and there is to be room for it.
HIGH_WATER_JOBS: Final = 1_000_000_000
SCRIPTS: Final = Scripts(Keys())
# Commands of the measurement itself.
OUTSIDE: Final = ("cmdstat_info", "cmdstat_config", "cmdstat_script")


def run(client: Any, command: Command[Any]) -> Any:
    try:
        return command.parse(client.execute_command(*command.words))
    except NoScriptError:
        assert command.script is not None
        client.script_load(command.script.text)
        return command.parse(client.execute_command(*command.words))


def enqueue(random: Random, jobs: int) -> Command[Any]:
    shared = NewJobs(QUEUE, "bench.noop", due_ms=FIRST_DUE_MS + random.randrange(SPREAD_MS))
    body = Codec().encode_call((1, TEXT), {})
    return SCRIPTS.enqueue(shared, [NewJob(new_id(), "", body) for _ in range(jobs)])


def fill(first: int, jobs: int) -> None:
    """Enqueues so many jobs, whose ids are numbers from the first on: making real ones would take longer."""
    client, random = connect(), Random(first)
    for start in range(first, first + jobs, FILL_CHUNK):
        command = enqueue(random, 0)
        [*_, body] = enqueue(random, 1).words
        rows = ((f"{number:021d}", "", body) for number in range(start, min(start + FILL_CHUNK, first + jobs)))
        client.execute_command(*command.words, *chain.from_iterable(rows))


def us_per_job(client: Any, commands: Iterable[Command[Any]]) -> dict[str, float]:
    """The server's CPU time (`cpu`) for these, each for a batch of jobs; and that of each command, and of `lua`."""
    client.config_resetstat()
    before, calls = _cpu_us(client), 0
    for command in commands:
        run(client, command)
        calls += 1
    jobs = calls * BATCH
    cpu_us = (_cpu_us(client) - before) / jobs
    stats = client.info("commandstats")
    scripts_us = stats.pop("cmdstat_evalsha")["usec"] / jobs
    inside = {
        name.removeprefix("cmdstat_"): row["usec"] / jobs for name, row in stats.items() if not name.startswith(OUTSIDE)
    }
    return {"cpu": cpu_us, "lua": scripts_us - sum(inside.values()), **inside}


def _cpu_us(client: Any) -> float:
    used = client.info("cpu")
    return 1e6 * sum(float(used[f"used_cpu_{kind}_main_thread"]) for kind in ("user", "sys"))


def costs(client: Any, random: Random) -> dict[str, dict[str, float]]:
    """Of enqueueing, cancelling and promoting jobs beside what is there."""
    wheel, jobs = SCRIPTS.keys.wheel(QUEUE), CALLS * BATCH
    enqueued = us_per_job(client, [enqueue(random, BATCH) for _ in range(CALLS)])
    ids = [job_id.decode() for job_id in client.zrandmember(wheel, jobs)]
    cancelled = us_per_job(client, [SCRIPTS.cancel(ids[at : at + BATCH]) for at in range(0, jobs, BATCH)])
    assert client.zscore(wheel, ids[0]) is None, "not cancelled"
    ready = SCRIPTS.keys.ready(QUEUE, "normal")
    before = client.xlen(ready)
    promoted = us_per_job(client, _promotions(client, wheel))
    assert client.xlen(ready) - before == jobs, "not promoted"
    return {"enqueue": enqueued, "cancel": cancelled, "promote": promoted}


def _promotions(client: Any, wheel: str) -> Iterable[Command[Any]]:
    """The earliest jobs, as if it were the time at which the last of them is due."""
    [(_, due_ms)] = client.zrange(wheel, CALLS * BATCH - 1, CALLS * BATCH - 1, withscores=True)
    return [SCRIPTS.promote(QUEUE, BATCH, HIGH_WATER_JOBS, now_ms=int(due_ms)) for _ in range(CALLS)]


def grow(first: int, jobs: int) -> None:
    """Several processes fill: one does not keep the server busy."""
    share = jobs // PRODUCERS
    with ProcessPoolExecutor(PRODUCERS) as pool:
        list(pool.map(fill, range(first, first + jobs, max(share, 1)), [share] * PRODUCERS))


def main(sizes: Sequence[int]) -> None:
    client, random, found = connect(), Random(0), dict[int, dict[str, dict[str, float]]]()
    run(client, enqueue(random, 1))  # the script is loaded
    for size in sizes:
        grow(size, size - int(client.zcard(SCRIPTS.keys.wheel(QUEUE))))
        found[size] = costs(client, random)
    print(json.dumps(found))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]])
