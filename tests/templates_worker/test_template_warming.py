"""What workers tell of the versions that they use, and what is loaded before a job wants it."""

from __future__ import annotations

import pytest

from commands_seen import commands_seen
from conditions import eventually
from fleet import running_worker
from servers import Server
from templates_worker.published import held, jobs_of, opened, version_of, versions_of
from tidemill import Tidemill
from tidemill.errors import ServerUnavailable
from tidemill.wire.templating import Hot, Use
from tidemill_consumers import settings
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.templates.warming import Warming, is_steady

NAME = "stock"


@pytest.fixture
def marks(mill: Tidemill) -> Tidemill:
    """An application with tasks that return one argument, or none."""

    @mill.task(name="mark")
    def mark(mark: str) -> str:
        return mark

    @mill.task(name="plain")
    def plain() -> None:
        pass

    return mill


def report(mill: Tidemill, *uses: Use) -> None:
    with opened(mill) as link:
        link.run(mill.client.scripts.report_uses(uses))


def hottest(mill: Tidemill) -> list[Hot]:
    with opened(mill) as link:
        return link.run(mill.client.scripts.hottest(100))


def test_a_worker_tells_how_often_it_has_used_which_version(marks: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "TEMPLATE_REPORT_SECONDS", 0.2)
    version = version_of(marks, NAME, "mark", mark="a")
    with running_worker(marks):
        jobs = jobs_of(marks, NAME, "mark", version)
        for count in (1, 20):
            for job in [jobs.enqueue() for _ in range(count)]:
                job.result(timeout=20)
        late = jobs_of(marks, NAME, "mark", version, late=True)
        late.enqueue().result(timeout=20)
        late.enqueue().result(timeout=20)
        eventually(lambda: hottest(marks) and hottest(marks)[0].uses == 23, "it has told")
    (found,) = hottest(marks)
    assert (found.name, found.number) == (NAME, 1)
    assert 20 <= found.hits < 23


def test_a_worker_that_starts_holds_what_the_fleet_uses_most_before_its_first_job(
    marks: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "TEMPLATE_WARM_UP_SECONDS", 60)
    versions = [version_of(marks, f"t{number}", "mark", mark=f"{number}") for number in range(6)]
    report(marks, *(Use(f"t{number}", 1, 100 - number, 0) for number in range(6)))
    room_for_three = WorkerSettings(concurrency=2, lease_ms=4_000, template_cache_entries=6)
    with running_worker(marks, room_for_three) as worker:
        # Loaded a page at a time: what the clock of the start is looked at between.
        assert [number for number in range(6) if held(worker, f"t{number}", 1)] == [0, 1, 2]
        with commands_seen(server) as seen:
            assert jobs_of(marks, "t0", "mark", versions[0]).enqueue().result(timeout=20) == "0"
        assert not [line for line in seen if '"GET"' in line and "content:" in line]


def test_without_warming_nothing_is_loaded_before_it_is_wanted(marks: Tidemill) -> None:
    version = version_of(marks, NAME, "mark", mark="a")
    report(marks, Use(NAME, 1, 100, 100))
    cold = WorkerSettings(concurrency=2, lease_ms=4_000, template_warming=False)
    with running_worker(marks, cold) as worker:
        assert len(versions_of(worker).cache) == 0
        assert jobs_of(marks, NAME, "mark", version).enqueue().result(timeout=20) == "a"


def test_a_worker_starts_also_when_nothing_can_be_loaded(marks: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ServerUnavailable("it is away")

    monkeypatch.setattr(Warming, "prepare", fail)
    version = version_of(marks, NAME, "mark", mark="a")
    with running_worker(marks):
        assert jobs_of(marks, NAME, "mark", version).enqueue().result(timeout=20) == "a"


def test_versions_that_are_used_all_day_are_loaded_while_jobs_run(
    marks: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "TEMPLATE_REPORT_SECONDS", 0.1)
    monkeypatch.setattr(settings, "TEMPLATE_KEEP_WARM_SECONDS", 0.2)
    version = version_of(marks, NAME, "mark", mark="a")
    version_of(marks, "steady", "mark", mark="b")
    version_of(marks, "steady", "mark", mark="c")
    version_of(marks, "missed", "mark", mark="d")
    version_of(marks, "rare", "mark", mark="e")
    with running_worker(marks) as worker:
        report(marks, Use("steady", 1, 100, 99), Use("missed", 1, 100, 50), Use("rare", 1, 40, 40))
        jobs = jobs_of(marks, NAME, "mark", version)

        def are_warm() -> bool:
            jobs.enqueue().result(timeout=20)
            return held(worker, "steady", 1, 2) == [1, 2]

        eventually(are_warm, "it holds the version and the newest of its name")
        assert not held(worker, "missed", 1)
        assert not held(worker, "rare", 1)


@pytest.mark.parametrize(
    ("daily", "uses", "hits", "answer"),
    [(50, 20, 19, True), (49, 20, 20, False), (50, 100, 94, False), (50, 0, 0, False)],
)
def test_what_is_worth_its_room(daily: int, uses: int, hits: int, answer: bool) -> None:
    assert is_steady(Hot(NAME, 1, daily, uses, hits)) is answer


def _many_rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Workers tell and look twenty times a second: one is in the list for each time."""
    monkeypatch.setattr(settings, "TEMPLATE_REPORT_SECONDS", 0.05)
    monkeypatch.setattr(settings, "TEMPLATE_KEEP_WARM_SECONDS", 0.05)
    rounds: list[int] = []
    report_uses = Warming.report

    def counted(warming: Warming) -> None:
        rounds.append(1)
        report_uses(warming)

    monkeypatch.setattr(Warming, "report", counted)
    return rounds


def _await_more(rounds: list[int]) -> None:
    enough = len(rounds) + 5
    eventually(lambda: len(rounds) > enough, "more rounds have passed")


def test_a_fleet_without_templates_sends_one_read_at_start_and_nothing_more(
    marks: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = _many_rounds(monkeypatch)
    with commands_seen(server) as seen, running_worker(marks):
        marks.enqueue("plain").result(timeout=20)
        eventually(lambda: len(rounds) > 5, "it would have told")
    about = [line for line in seen if ":templates" in line and "SSUBSCRIBE" not in line]
    assert len(about) <= 2, about  # with the script, should the server not have it
    loads = [line for line in seen if "content:" in line or "template:" in line]
    assert not loads


def test_an_idle_worker_that_holds_versions_sends_nothing_about_them(
    marks: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = _many_rounds(monkeypatch)
    version = version_of(marks, NAME, "mark", mark="a")
    with running_worker(marks) as worker:
        assert jobs_of(marks, NAME, "mark", version).enqueue().result(timeout=20) == "a"
        eventually(lambda: hottest(marks), "it has told")
        _await_more(rounds)
        with commands_seen(server) as seen:
            _await_more(rounds)
        assert not [line for line in seen if "templ" in line]
        assert versions_of(worker).cache.stats().entries == 1
