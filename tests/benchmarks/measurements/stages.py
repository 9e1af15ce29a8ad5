"""Where the start latency goes: from a job's intended arrival until its ticket is delivered, it is taken, it starts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.arithmetic import arrivals_ns, latencies_ms, median
from benchmarks.bench import Bench, measurement
from benchmarks.bench_server import fresh_server
from benchmarks.figure import Figure
from benchmarks.measurements.latency import WARM_UP
from benchmarks.processes import new_run
from benchmarks.stage import STAGES, of_stage


def staged(bench: Bench, rate: float, seconds: float) -> dict[str, list[float]]:
    """By stage, ms from the intended arrival. Raises DoesNotCount unless each job ran once and was settled."""
    jobs = round(rate * seconds)
    with fresh_server(bench.flavour) as server, new_run(server.url) as run, run.worker("stages"):
        run.produce("stages", "probe")
        run.noted(len(STAGES))
        answer = run.produce("stages", "open_loop", rate, seconds)
        starts = run.finished(jobs * len(STAGES), extra=len(STAGES))
        run.settled(server, jobs + 1)
    intended = [round(answer["start_ns"]) + arrival for arrival in arrivals_ns(rate, seconds)]
    return {stage: latencies_ms(of_stage(starts, stage), intended, WARM_UP) for stage in STAGES}


@measurement("stages")
def stages(bench: Bench) -> Iterator[Figure]:
    seconds = bench.size(4.0, 0.5)
    for rate in bench.size((200, 1_000), (1_000,)):
        found = bench.counted(partial(staged, bench, rate, seconds))
        for stage, latencies in found.items():
            without = 1 - len(latencies) / len(found["started"])
            note = (
                f"{without:.0%} of the jobs were taken with others, no ticket was delivered before" if without else ""
            )
            yield Figure(f"stages at {rate:,}/s: {stage}, p50", "ms", median(latencies), note=note)
