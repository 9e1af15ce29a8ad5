"""The limit of growth: PYTHONPATH=tests python -m benchmarks.bare_growth [SIZE …]; prints a table.

What a backlog of delayed jobs costs a server without Tidemill: a sorted set of due times, spread over a day, and a
hash for each job, in scripts that do nothing else; and what it would cost in pieces, a sorted set for each minute of
the day. The figures are CPU time of the server's main thread in µs for each command, the median of several calls of a
thousand.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.bench_server import fresh_server

SIZES: Final = (10_000, 100_000, 1_000_000, 10_000_000)
FILL: Final = 10_000
COMMANDS: Final = 1_000
ROUNDS: Final = 9

_SEED: Final = "math.randomseed(ARGV[#ARGV]) "
_DUE: Final = _SEED + "local function due() return 4e12 + math.floor(math.random() * 86400000) end "
_HASH: Final = (
    "'s', 'scheduled', 'q', 'default', 't', 'bench.noop', 'c', '1795282549473', 'b', string.rep('x', 60), "
    "'d', '4000000000000'"
)
_PIECE: Final = "'piece:' .. math.floor(at / 60000)"
# ARGV: the first number, how many. A script has the same random numbers each time, unless it is given a seed.
_FILL: Final = (
    _DUE + "for i = ARGV[1], ARGV[1] + ARGV[2] - 1 do local at, id = due(), 'j' .. i "
    f"redis.call('ZADD', 'wheel', at, id) redis.call('ZADD', {_PIECE}, at, id) "
    f"redis.call('HSET', 'job:' .. i, {_HASH}) end"
)
# ARGV: how many there are, how many commands, a salt for new names, a seed.
_MEASURED: Final = {
    "ZADD": _DUE + "for i = 1, ARGV[2] do redis.call('ZADD', 'wheel', due(), ARGV[3] .. i) end",
    "ZADD in pieces": _DUE
    + f"for i = 1, ARGV[2] do local at = due() redis.call('ZADD', {_PIECE}, at, ARGV[3] .. i) end",
    "ZREM": _SEED + "for i = 1, ARGV[2] do redis.call('ZREM', 'wheel', 'j' .. math.random(0, ARGV[1] - 1)) end",
    "HSET of a new hash": f"for i = 1, ARGV[2] do redis.call('HSET', 'job:' .. ARGV[3] .. i, {_HASH}) end",
    "HGET": _SEED + "for i = 1, ARGV[2] do redis.call('HGET', 'job:' .. math.random(0, ARGV[1] - 1), 's') end",
}


def _cpu_us(client: Any) -> float:
    used = client.info("cpu")
    return 1e6 * sum(float(used[f"used_cpu_{kind}_main_thread"]) for kind in ("user", "sys"))


def _cost_us(client: Any, script: str, size: int) -> float:
    found: list[float] = []
    for number in range(ROUNDS):
        before = _cpu_us(client)
        client.eval(script, 0, size, COMMANDS, f"n{size}.{number}.", number)
        found.append((_cpu_us(client) - before) / COMMANDS)
    return median(found)


def main(sizes: Sequence[int], tell: Callable[[str], object] = print) -> None:
    tell(f"{'jobs':>12}" + "".join(f"{name:>22}" for name in _MEASURED))
    with fresh_server("redis7", "--appendonly", "no") as server:
        client: Any = server.client
        held = 0
        for size in sizes:
            for first in range(held, size, FILL):
                client.eval(_FILL, 0, first, min(FILL, size - first), first)
            held = size
            costs = [_cost_us(client, script, size) for script in _MEASURED.values()]
            tell(f"{size:>12,}" + "".join(f"{cost:>19.2f} µs" for cost in costs))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or SIZES)
