"""Registering tasks and recurring jobs."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tidemill import InvalidInput, Retry, Tidemill

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
