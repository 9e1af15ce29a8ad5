"""Recurring jobs are declared, published, changed and removed."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from servers import Server
from tidemill import InvalidInput, Tidemill
from tidemill.recurring import unpack
from tidemill.schedule import Cron, Interval


def published(mill: Tidemill) -> dict[str, Any]:
    definitions = mill.client.link.run(mill.client.scripts.recurring())
    return {name: unpack(name, definition) for name, definition in definitions.items()}


def test_a_recurring_job_is_published_at_once(mill: Tidemill) -> None:
    @mill.task(queue="images", priority="low", result_ttl=60)
    def cleanup(path: str, depth: int = 1) -> None: ...

    @mill.task()
    async def heartbeat() -> None: ...

    mill.every("*/5 * * * *", cleanup, tz="Europe/Berlin", args=["/tmp"], kwargs={"depth": 2}, missed="skip")
    declared = mill.every(timedelta(seconds=30), heartbeat)
    found = published(mill)
    assert set(found) == {cleanup.name, heartbeat.name}
    assert found[heartbeat.name] == declared
    nightly = found[cleanup.name]
    assert (nightly.queue, nightly.priority, nightly.result_ttl_ms, str(nightly.missed)) == (
        *("images", "low"),
        *(60_000, "skip"),
    )
    assert nightly.schedule == Cron("*/5 * * * *", "Europe/Berlin")
    args, kwargs = mill.codec.decode_call(nightly.body)
    assert (tuple(args), kwargs) == (("/tmp",), {"depth": 2})
    assert {declared.name: declared for declared in mill.declared} == found


async def test_a_recurring_job_of_async_code(mill: Tidemill) -> None:
    declared = await mill.aevery(timedelta(minutes=1), "images.cleanup", name="cleaning")
    assert declared.occurrence_id(60_000) == "every:cleaning:60000"
    assert published(mill)["cleaning"] == unpack("cleaning", declared.pack()) or published(mill)["cleaning"].queue
    await mill.apublish()
    await mill.aclose()


def test_a_change_of_the_schedule_replaces_it(url: str) -> None:
    for schedule in (timedelta(minutes=5), timedelta(minutes=10)):
        with Tidemill(url) as mill:
            mill.every(schedule, "images.cleanup")
            assert {name: found.schedule for name, found in published(mill).items()} == {
                "images.cleanup": Interval(int(schedule.total_seconds() * 1000))
            }


def test_two_schedules_of_a_task_are_told_apart_even_without_names(mill: Tidemill) -> None:
    first = mill.every(timedelta(minutes=5), "images.cleanup")
    again = mill.every(timedelta(minutes=5), "images.cleanup")
    other = mill.every(timedelta(minutes=10), "images.cleanup")
    with_arguments = mill.every(timedelta(minutes=5), "images.cleanup", args=[1])
    assert first == again
    assert first.name == "images.cleanup"
    assert set(published(mill)) == {first.name, other.name, with_arguments.name}
    assert len(published(mill)) == 3
    mill.every(timedelta(minutes=10), "images.cleanup", name="slow")
    mill.every(timedelta(minutes=20), "images.cleanup", name="slow")
    assert published(mill)["slow"].schedule == Interval(1_200_000)


async def test_a_recurring_job_ends_when_it_is_removed(mill: Tidemill) -> None:
    mill.every(timedelta(minutes=5), "images.cleanup")
    assert mill.remove_recurring("images.cleanup") is True
    assert published(mill) == {}
    assert mill.remove_recurring("images.cleanup") is False
    await mill.aevery(timedelta(minutes=5), "images.cleanup", name="again")
    assert await mill.aremove_recurring("again") is True
    await mill.apublish()
    assert published(mill) == {}
    await mill.aclose()


def test_the_name_of_a_task_with_a_long_name_is_stable_and_its_jobs_ids_are_valid(mill: Tidemill) -> None:
    from tidemill.validation import job_id

    tasks = [f"{'x' * 127}{end}" for end in "ab"]
    names = [mill.every(timedelta(minutes=5), task).name for task in tasks]
    assert len(set(names)) == 2
    mill.every(timedelta(minutes=5), tasks[0])
    assert [declared.name for declared in mill.declared] == names
    assert job_id(mill.declared[0].occurrence_id(10**13 - 1))


def test_a_recurring_name_goes_to_the_queue_that_its_workers_declared(mill: Tidemill) -> None:
    register = mill.client.scripts.register
    mill.client.link.run(register("a-worker", 5_000, ["images"], {"images.cleanup": "images"}, {"host": "here"}))
    mill.every(timedelta(minutes=5), "images.cleanup")
    mill.every(timedelta(minutes=5), mill.named("images.cleanup").using(queue="slow"), name="slow")
    mill.every(timedelta(minutes=5), "nobody.knows")
    assert {name: found.queue for name, found in published(mill).items()} == {
        "images.cleanup": "images",
        "slow": "slow",
        "nobody.knows": "default",
    }


def test_a_wrong_recurring_job_is_refused_and_not_published(mill: Tidemill) -> None:
    @mill.task()
    def cleanup(path: str) -> None: ...

    wrong: list[tuple[dict[str, Any], str]] = [
        ({"when": "* * *"}, "."),
        ({"when": timedelta(milliseconds=5)}, "out of bounds"),
        ({"when": 30}, "pass a cron expression"),
        ({"tz": "Mars/Olympus"}, "Mars/Olympus"),
        ({"name": "a b"}, "task name 'a b' is not valid"),
        ({"name": "x" * 101}, "the name of a recurring job has at most 100 characters"),
        ({"missed": "never"}, "missed 'never' is not valid: one of 'skip', 'once', 'all'"),
        ({"task": cleanup.using(unique="x")}, "a recurring job has no unique, job_id or delay"),
    ]
    for options, message in wrong:
        with pytest.raises(InvalidInput, match=message):
            cast(Any, mill).every(**{"when": "* * * * *", "task": cleanup, "args": ["/tmp"], **options})
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'path'"):
        mill.every("* * * * *", cleanup)
    assert mill.declared == []
    assert published(mill) == {}


_MODULE = """
import sys
from datetime import timedelta
from tidemill import Tidemill
mill = Tidemill(sys.argv[1])

@mill.task()
def beat() -> None: ...

mill.every(timedelta(seconds=30), beat, name="top-level")

def later() -> None:
    mill.every(timedelta(seconds=30), beat, name="function")
"""

_IMPORTER = """
from beating import later, mill
def recurring(): return sorted(mill.client.link.run(mill.client.scripts.recurring()))
print(recurring())
later()
print(recurring())
mill.publish()
print(recurring())
"""

_INDIRECT = "from beating import later\nlater()\n"


def run_python(directory: Path, *arguments: str) -> list[str]:
    run = subprocess.run([sys.executable, *arguments], cwd=directory, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_a_script_publishes_at_once_and_an_import_never(tmp_path: Path, server: Server, url: str) -> None:
    (tmp_path / "beating.py").write_text(_MODULE)
    (tmp_path / "indirect.py").write_text(_INDIRECT)
    (tmp_path / "importer.py").write_text(_IMPORTER)
    (tmp_path / "importer2.py").write_text("import indirect\n" + _IMPORTER)
    assert run_python(tmp_path, "importer.py", url) == ["[]", "['function']", "['function', 'top-level']"]
    server.flush()
    assert run_python(tmp_path, "importer2.py", url)[0] == "[]", "a function that an import calls is the import's"
    server.flush()
    for command in (["beating.py"], ["-m", "beating"]):
        run_python(tmp_path, *command, url)
        with Tidemill(url) as mill:
            assert list(published(mill)) == ["top-level"]
        server.flush()


def test_a_module_that_is_imported_needs_no_server(tmp_path: Path) -> None:
    (tmp_path / "beating.py").write_text(_MODULE)
    run_python(tmp_path, "-c", "import beating", "redis://127.0.0.1:1")
