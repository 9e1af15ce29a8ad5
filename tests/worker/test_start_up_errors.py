"""`tidemill worker MODULE:APP` with something wrong: a clear error, exit code 2, no traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from click.testing import CliRunner, Result

from tidemill import InvalidInput, Tidemill
from tidemill.commands.root import tidemill
from tidemill.loading import load_app
from tidemill_consumers import executors
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.worker import Worker

APPS = {
    "empty": "",
    "without_tasks": "from tidemill import Tidemill\nmill = Tidemill()\n",
    "other_name": "from tidemill import Tidemill\njobs = Tidemill()\nmore = Tidemill()\n",
    "broken": "import no_such_dependency\n",
    "good": "from tidemill import Tidemill\nmill = Tidemill()\n@mill.task()\ndef add() -> None: ...\n",
}


@pytest.fixture(autouse=True)
def _apps_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, source in APPS.items():
        (tmp_path / f"startup_{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def worker(*arguments: str) -> Result:
    return CliRunner().invoke(tidemill, ["worker", "--no-supervisor", *arguments])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("startup_missing:mill", "module 'startup_missing' was not found from "),
        ("startup_missing.part", "module 'startup_missing.part' was not found from "),
        ("startup_empty", "'mill' is no Tidemill in module startup_empty; it has none"),
        ("startup_other_name:mill", "'mill' is no Tidemill in module startup_other_name; it has jobs, more"),
        ("startup_without_tasks", "startup_without_tasks has no tasks: register functions with @mill.task()"),
        ("startup_good.py:mill", "module 'startup_good.py' was not found from "),
        ("path/to/app.py", "is no MODULE:APP"),
        (":mill", "is no MODULE:APP"),
        ("..app:mill", "is no MODULE:APP"),
    ],
)
def test_an_application_that_can_not_be_loaded_is_named_with_what_is_wrong(path: str, message: str) -> None:
    found = worker(path)
    assert found.exit_code == 2
    assert message in found.output
    assert "Traceback" not in found.output
    assert isinstance(found.exception, SystemExit)


def test_a_wrong_queue_name_is_refused() -> None:
    found = worker("startup_good", "--queues=Not Valid")
    assert found.exit_code == 2
    assert "queue name 'Not Valid' is not valid" in found.output


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        ("--concurrency-limiter=vegas", "is not one of 'fixed', 'gradient', 'gradient2', 'windowed'"),
        ("--concurrency=0", "is not in the range 1<=x<=10000"),
    ],
)
def test_a_wrong_concurrency_is_refused_with_the_rule(option: str, rule: str) -> None:
    found = worker("startup_good", option)
    assert found.exit_code == 2
    assert rule in found.output


def test_a_limiter_whose_library_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_consumers.concurrency.quantiles.find_spec", Mock(return_value=None))
    fleet = Mock(return_value=0)
    monkeypatch.setattr("tidemill_consumers.supervisor.run_fleet", fleet)
    found = CliRunner().invoke(tidemill, ["worker", "startup_good", "--concurrency-limiter=windowed"])
    assert found.exit_code == 2
    assert "pip install 'tidemill[adaptive]'" in found.output
    assert not fleet.called, "no process is started again and again in vain"


def test_an_error_of_the_module_itself_keeps_its_traceback() -> None:
    found = worker("startup_broken")
    assert found.exit_code == 1
    assert isinstance(found.exception, ModuleNotFoundError)
    assert found.exception.name == "no_such_dependency"


def test_the_application_is_found_in_the_current_directory_and_is_called_mill_by_default() -> None:
    assert list(load_app("startup_good").tasks) == ["startup_good.add"]
    assert load_app("startup_good:mill") is load_app("startup_good")
    assert load_app("startup_other_name:more").tasks == {}


def test_an_executor_that_is_not_installed_is_named_with_those_that_are(mill: Tidemill) -> None:
    @mill.task(executor="fibre")
    def add() -> None: ...

    subject = Worker(mill, WorkerSettings())
    with pytest.raises(InvalidInput, match=r"executor 'fibre' is not installed: one of async, process, thread"):
        subject.start()
    assert mill.inspect.workers() == [] or mill.inspect.workers()[0].incarnation == subject.incarnation


def test_only_the_executors_that_tasks_need_are_made(mill: Tidemill) -> None:
    assert executors.load((), Worker(mill, WorkerSettings())) == {}
