"""Cost on the server of a delayed job, beside a backlog that grows: python -m benchmarks.backlog SIZE …; prints JSON.

Talks to the scripts directly, since a backlog of millions is to be there soon. A cost is the CPU time of the server's
main thread (`INFO cpu`), in µs for each job: what else the machine does is not in it. With it comes where the scripts
spend their time (`INFO commandstats`, also in µs for each job, but of wall time): by command, and in Lua itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
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
# While the backlog is filled: so many jobs are due at one time, and a call makes those of so many times.
FILL_JOBS: Final = 1_000
FILL_TIMES: Final = 10
MODEL: Final = "bench:model"
# As in production: see ENQUEUE_CHUNK_JOBS and PROMOTE_BATCH.
BATCH: Final = 200
# Calls of each kind in one measurement: 4,000 jobs, fewer than the smallest backlog has.
CALLS: Final = 20
# The backlog is due in the far future, so that nobody's clock matters.
FIRST_DUE_MS: Final = 4_000_000_000_000
SPREAD_MS: Final = 86_400_000
# Nobody takes what is promoted, and there is to be room for it.
HIGH_WATER_JOBS: Final = 1_000_000_000
SCRIPTS: Final = Scripts(Keys())
# Commands of the measurement itself.
OUTSIDE: Final = ("cmdstat_info", "cmdstat_config", "cmdstat_script")

# Copies a delayed job's record, and gives each copy a place: what enqueueing leaves behind, for half of the server's
# time. Their ids are numbers.
# KEYS  1 record  2 wheel
# ARGV  1 first number  2 jobs due at each time  3 where the keys of records begin, then due times in ms
COPY: Final = """#!lua
local number = tonumber(ARGV[1])
for i = 4, #ARGV do
  local places = {}
  redis.call('HSET', KEYS[1], 'd', ARGV[i])
  for place = 1, 2 * tonumber(ARGV[2]), 2 do
    local id = string.format('%021d', number)
    redis.call('COPY', KEYS[1], ARGV[3] .. id)
    places[place], places[place + 1] = ARGV[i], id
    number = number + 1
  end
  redis.call('ZADD', KEYS[2], unpack(places))
end
"""


def run(client: Any, command: Command[Any]) -> Any:
    try:
        return command.parse(client.execute_command(*command.words))
    except NoScriptError:
        assert command.script is not None
        client.script_load(command.script.text)
        return command.parse(client.execute_command(*command.words))


def enqueue(due_ms: int, jobs: int) -> Command[Any]:
    shared = NewJobs(QUEUE, "bench.noop", due_ms=due_ms)
    body = Codec().encode_call((1, TEXT), {})
    return SCRIPTS.enqueue(shared, [NewJob(new_id(), "", body) for _ in range(jobs)])


def random_due_ms(random: Random) -> int:
    return FIRST_DUE_MS + random.randrange(SPREAD_MS)


def grow(client: Any, first: int, jobs: int) -> None:
    """Adds at least so many delayed jobs, numbered from the first on: copies of one that is enqueued, due first."""
    keys, random, copy = SCRIPTS.keys, Random(first), client.register_script(COPY)
    model = enqueue(FIRST_DUE_MS, 1)
    run(client, model)
    client.copy(keys.job(str(model.words[-3])), MODEL)
    for number in range(first, first + jobs, FILL_JOBS * FILL_TIMES):
        due_ms = [random_due_ms(random) for _ in range(FILL_TIMES)]
        copy(keys=(MODEL, keys.wheel(QUEUE)), args=(number, FILL_JOBS, keys.job(""), *due_ms))
    client.delete(MODEL)


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
    enqueued = us_per_job(client, [enqueue(random_due_ms(random), BATCH) for _ in range(CALLS)])
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


def main(sizes: Sequence[int]) -> None:
    client, random, found = connect(), Random(0), dict[int, dict[str, dict[str, float]]]()
    for size in sizes:
        grow(client, size, size - int(client.zcard(SCRIPTS.keys.wheel(QUEUE))))
        found[size] = costs(client, random)
    print(json.dumps(found))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]])
