"""python -m scenarios.flood: enqueues very many jobs as fast as one process can, each known to the history.

What is not run when its time is over expires: nobody waits for a hundred thousand jobs.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.history import Recorder
from tidemill import Tidemill, call

_BATCH_JOBS = 2_000
_IDS_A_LINE = 60
_KIND = "expiring"


@dataclass(frozen=True, slots=True)
class Flood:
    """`tenant` "": none."""

    queue: str
    tenant: str
    jobs: int
    job_seconds: float
    expires_seconds: float

    async def run(self, url: str, directory: Path) -> None:
        """In a process of its own; returns when all are enqueued."""
        words = [self.queue, self.tenant, self.jobs, self.job_seconds, self.expires_seconds]
        command = [sys.executable, "-m", "scenarios.flood", url, str(directory), *map(str, words)]
        await asyncio.to_thread(subprocess.run, command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser("python -m scenarios.flood", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("directory", type=Path)
    parser.add_argument("queue")
    parser.add_argument("tenant")
    parser.add_argument("jobs", type=int)
    parser.add_argument("job_seconds", type=float)
    parser.add_argument("expires_seconds", type=float)
    chosen: Any = parser.parse_args()
    recorder = Recorder(chosen.directory, f"flood of {chosen.tenant or 'nobody'}")
    with Tidemill(chosen.url) as mill:
        task: Any = mill.named("chaos.application.coroutine").using(
            queue=chosen.queue, tenant=chosen.tenant or None, expires=chosen.expires_seconds, result_ttl=0
        )
        chance = random.Random(1)
        # About as long, so that the slots of a worker do not all become free at the same moments.
        calls = [call(chosen.job_seconds * chance.uniform(0.5, 1.5)) for _ in range(_BATCH_JOBS)]
        for start in range(0, chosen.jobs, _BATCH_JOBS):
            recorder.write("batch", type="invoke", batch=f"{chosen.tenant} {start}")
            ids = [job.id for job in task.enqueue_many(calls[: chosen.jobs - start])]
            for first in range(0, len(ids), _IDS_A_LINE):
                jobs = ids[first : first + _IDS_A_LINE]
                recorder.write("batch", type="ok", batch=f"{chosen.tenant} {start}", kind=_KIND, jobs=jobs)
    recorder.close()


if __name__ == "__main__":
    main()
