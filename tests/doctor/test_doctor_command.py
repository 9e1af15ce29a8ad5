"""`tidemill doctor`."""

from __future__ import annotations

import json

from click.testing import CliRunner, Result

from servers import Server
from tidemill import Tidemill
from tidemill.commands.root import tidemill


def run(url: str, *arguments: str) -> Result:
    result = CliRunner().invoke(tidemill, ["doctor", *arguments, "--url", url])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def lose_a_job(mill: Tidemill, server: Server) -> str:
    job = mill.named("a.task").enqueue()
    server.client.delete(mill.client.scripts.keys.ready("default", "normal"))
    return str(job.id)


def test_a_healthy_system_is_said_to_be_so(mill: Tidemill, url: str) -> None:
    mill.named("a.task").enqueue()
    result = run(url)
    assert result.exit_code == 0
    assert result.stdout.startswith("nothing is wrong: looked at 4 keys, 1 jobs, 1 tickets")
    assert json.loads(run(url, "--json").stdout)["healthy"] is True


def test_what_is_found_and_not_repaired_has_an_exit_code_of_its_own(mill: Tidemill, server: Server, url: str) -> None:
    job_id = lose_a_job(mill, server)
    result = run(url)
    assert result.exit_code == 6
    assert f"job:{job_id}" in result.stdout
    assert "to do: gets a new ticket" in result.stdout
    found = json.loads(run(url, "--json").stdout)
    assert found["counts"] == {"ready_without_ticket": 1}
    assert found["findings"] == [
        {
            "kind": "ready_without_ticket",
            "key": mill.client.scripts.keys.job(job_id),
            "subject": job_id,
            "seen": "the job is ready, but has no ticket: no worker would be given it",
            "repair": "gets a new ticket",
            "repaired": False,
        }
    ]


def test_a_repair_is_shown_and_leaves_nothing_to_do(mill: Tidemill, server: Server, url: str) -> None:
    lose_a_job(mill, server)
    result = run(url, "--repair")
    assert result.exit_code == 0
    assert "repaired: gets a new ticket" in result.stdout
    assert "repaired 1;" in result.stdout
    assert run(url).stdout.startswith("nothing is wrong")


def test_people_are_shown_a_hundred_findings_and_programs_all(mill: Tidemill, server: Server, url: str) -> None:
    for number in range(130):
        server.client.zadd(mill.client.scripts.keys.expiring, {f"gone-{number}": 4_000_000_000_000})
    result = run(url)
    assert "and 30 more: --json has them all" in result.stdout
    assert len(json.loads(run(url, "--json").stdout)["findings"]) == 130


def test_the_exit_code_stands_in_the_table() -> None:
    from tidemill.commands import doctor, root

    assert f"| {doctor.FOUND_EXIT_CODE} | `doctor`" in (root.__doc__ or "")
