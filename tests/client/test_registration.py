"""Registering tasks and recurring jobs."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from servers import Server
from tidemill import InvalidInput, Retry, Tidemill
from tidemill.recurring import unpack
from tidemill.schedule import Cron, Interval

NOWHERE = "redis://nowhere.invalid"


@pytest.fixture
def offline() -> Tidemill:
    """An application whose server is never asked."""
    return Tidemill(NOWHERE)


def test_a_task_is_called_by_its_module_and_function(offline: Tidemill) -> None:
    @offline.task()
    def resize() -> None: ...

    @offline.task(name="images.thumbnail")
    def thumbnail() -> None: ...

    class Nested:
        @staticmethod
        @offline.task()
        def method() -> None: ...

    assert list(offline.tasks) == [f"{__name__}.resize", "images.thumbnail", f"{__name__}.Nested.method"]
    assert Nested.method.name == f"{__name__}.Nested.method"
    assert repr(offline) == f"<Tidemill {NOWHERE}, 3 tasks>"


def test_a_started_script_calls_its_tasks_by_the_files_name(tmp_path: Path) -> None:
    script = tmp_path / "resizing.py"
    script.write_text(
        "from tidemill import Tidemill\n"
        "mill = Tidemill('redis://nowhere.invalid')\n"
        "@mill.task()\n"
        "def thumbnail() -> None: ...\n"
        "print(thumbnail.name)\n"
    )
    for command in ([str(script)], ["-m", "resizing"]):
        run = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == "resizing.thumbnail"


def test_two_functions_cant_have_one_name(offline: Tidemill) -> None:
    @offline.task(name="images.thumbnail")
    def one() -> int:
        return 1

    with pytest.raises(
        InvalidInput,
        match=r"task 'images.thumbnail' is registered already, for <function .*one.*give one of them a name=",
    ):

        @offline.task(name="images.thumbnail")
        def two() -> int:
            return 2

    assert offline.tasks["images.thumbnail"].function() == one() == 1


def test_two_closures_cant_have_one_name(offline: Tidemill) -> None:
    def make(number: int) -> Callable[[], int]:
        def closure() -> int:
            return number

        return closure

    offline.task(name="a.task")(make(1))
    with pytest.raises(InvalidInput, match="is registered already"):
        offline.task(name="a.task")(make(2))


def test_the_same_function_may_be_registered_again(offline: Tidemill) -> None:
    source = "def work(number: int = 1) -> int:\n    return number\n"
    namespaces: list[dict[str, Any]] = [{"__name__": "app"}, {"__name__": "app"}]
    for namespace in namespaces:
        exec(compile(source, "app.py", "exec"), namespace)  # noqa: S102 - a module that is loaded twice
        offline.task(queue="images")(namespace["work"])
        offline.task(queue="images")(namespace["work"])
    assert list(offline.tasks) == ["app.work"]


@pytest.mark.parametrize(
    "thing", [len, functools.partial(print, 1), object(), int], ids=["builtin", "partial", "object", "class"]
)
def test_a_task_must_be_a_function(offline: Tidemill, thing: Any) -> None:
    with pytest.raises(InvalidInput, match="a task is a function, made by `def` or `async def`, not "):
        offline.task(name="a.task")(thing)


WRONG_TASKS: list[tuple[dict[str, Any], str]] = [
    ({"name": "9lives"}, "task name '9lives' is not valid: a letter or '_', then up to 127 of"),
    ({"name": ""}, "task name '' is not valid"),
    ({"name": "a{b}"}, "task name 'a{b}' is not valid"),
    ({"name": "x" * 129}, "is not valid"),
    ({"queue": "Images"}, "queue name 'Images' is not valid"),
    ({"priority": "urgent"}, "priority 'urgent' is not valid"),
    ({"retry": 5}, "retry must be a Retry, as Retry(max_attempts=5), not 5"),
    ({"timeout": -1}, "timeout must be more than 0 to 3660 days, not -1"),
    ({"result_ttl": "1h"}, "result_ttl must be a timedelta or a number of seconds, not '1h'"),
    ({"expires": 0}, "expires must be more than 0 to 3660 days, not 0"),
    ({"executor": "async"}, "executor='async' needs an `async def`; use 'thread' or 'process'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_TASKS, ids=[str(options) for options, _ in WRONG_TASKS])
def test_a_wrong_definition_is_refused(offline: Tidemill, options: dict[str, Any], message: str) -> None:
    def work() -> None: ...

    with pytest.raises(InvalidInput, match=re.escape(message)):
        offline.task(**options)(work)
    assert not offline.tasks


def test_an_async_function_runs_on_the_loop_only(offline: Tidemill) -> None:
    async def work() -> None: ...

    with pytest.raises(
        InvalidInput, match="an `async def` runs on the loop; executor='process' is for plain functions"
    ):
        offline.task(executor="process")(work)
    assert offline.task()(work).definition.executor == "async"
    assert offline.task(executor="async", name="b")(work).definition.executor == "async"


def test_a_definition_has_what_the_worker_needs(offline: Tidemill) -> None:
    @offline.task(queue="images", retry=Retry(max_attempts=5), timeout=timedelta(minutes=1), executor="process")
    def work() -> None:
        """Works."""

    found = offline.tasks[work.name]
    assert (found.queue, found.retry.max_attempts, found.timeout_ms, found.executor) == ("images", 5, 60_000, "process")
    assert work.__doc__ == "Works."


@pytest.mark.parametrize(
    ("options", "message"), [({"prefix": "a:b"}, "queue name"), ({"deadline": 0}, "deadline must")]
)
def test_a_wrong_application_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Tidemill(NOWHERE, **options)


# -- recurring jobs ---------------------------------------------------------------------------------------------------


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
