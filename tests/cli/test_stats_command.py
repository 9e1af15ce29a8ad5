"""`tidemill stats`."""

from __future__ import annotations

import json
import re

from click.testing import CliRunner

from conditions import eventually
from fleet import running_worker
from tidemill import Tidemill
from tidemill.commands.root import tidemill


def run(url: str, *arguments: str) -> str:
    result = CliRunner().invoke(tidemill, ["stats", *arguments, "--url", url])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_empty_server_says_so(url: str) -> None:
    assert run(url) == "no queues\n\nno workers\n"
    assert json.loads(run(url, "--json")) == {"queues": [], "workers": []}


def test_queues_and_workers_are_shown(mill: Tidemill, url: str) -> None:
    @mill.task(queue="images")
    def work() -> None: ...

    with running_worker(mill) as worker:
        work.enqueue().result(timeout=10)
        shown = run(url)
        assert re.search(rf"worker {worker.incarnation}  \S+:\d+  queues images  concurrency 8  lease \d s", shown)
        found = json.loads(run(url, "--json"))
        assert found["queues"][0]["succeeded"] == 1
        assert found["workers"][0]["worker"] == worker.incarnation
    eventually(lambda: "no workers" in run(url), "the worker is gone")


def test_a_worker_whose_lease_is_over_is_told_apart(mill: Tidemill, url: str) -> None:
    register = mill.client.scripts.register
    mill.client.link.run(register("dead-worker", 500, ["images"], {}, {"host": "here", "pid": "7"}))
    # In one answer: what it said of itself is forgotten a few seconds later.
    eventually(
        lambda: re.search(r"worker dead-worker  here:7  queues \?.*lease is over", run(url)), "the lease is over"
    )
