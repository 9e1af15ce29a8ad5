"""Jobs whose version is not held: they wait, while one load is under way, and everything else goes on."""

from __future__ import annotations

from threading import Thread

import pytest

from commands_seen import commands_seen
from conditions import eventually
from fleet import running_scheduler, running_worker
from servers import Server
from templates_worker.published import (
    Gate,
    content_of,
    held,
    jobs_of,
    opened,
    publish,
    store,
    version_of,
    versions_of,
    waiting,
)
from tidemill import JobCancelled, JobFailed, Tidemill
from tidemill.errors import ServerUnavailable
from tidemill.templates.content import digest_of
from tidemill.wire.command import Command
from tidemill.wire.templating import Version
from tidemill_consumers import settings
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.templates.version import Key
from tidemill_consumers.templates.versions import Versions

NAME = "stock"
MANY = WorkerSettings(concurrency=40, lease_ms=4_000)


@pytest.fixture(autouse=True)
def _keep_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "TEMPLATE_HAND_BACK_MS", 600_000)


@pytest.fixture
def marks(mill: Tidemill) -> Tidemill:
    """An application with tasks that return one argument."""

    @mill.task(name="mark")
    def mark(mark: str) -> str:
        return mark

    @mill.task(name="plain")
    def plain() -> str:
        return "plain"

    return mill


def test_many_jobs_that_miss_at_once_cost_one_load(marks: Tidemill, server: Server) -> None:
    version = version_of(marks, NAME, "mark", mark="a")
    jobs = [jobs_of(marks, NAME, "mark", version).enqueue() for _ in range(40)]
    with commands_seen(server) as seen, running_worker(marks, MANY):
        assert {job.result(timeout=20) for job in jobs} == {"a"}
        later = [jobs_of(marks, NAME, "mark", version).enqueue() for _ in range(40)]
        assert {job.result(timeout=20) for job in later} == {"a"}
    loads = [line for line in seen if '"GET"' in line and "content:stock:1" in line]
    assert len(loads) == 1, loads


def test_while_a_version_is_loaded_other_jobs_run_and_its_jobs_are_held(
    marks: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    version = version_of(marks, NAME, "mark", mark="a")
    with running_worker(marks, MANY) as worker:
        jobs = [jobs_of(marks, NAME, "mark", version).enqueue() for _ in range(10)]
        eventually(lambda: waiting(worker) == 10, "they wait")
        assert marks.enqueue("plain").result(timeout=20) == "plain"
        assert {job.id for job in jobs} <= set(worker.running_ids())
        assert {job.refresh().state for job in jobs} == {"running"}
        gate.open.set()
        assert {job.result(timeout=20) for job in jobs} == {"a"}
        assert gate.loads == [Key(NAME, 1)]


def test_a_job_that_waits_for_its_version_can_be_cancelled(marks: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    version = version_of(marks, NAME, "mark", mark="a")
    with running_worker(marks) as worker:
        job, other = (jobs_of(marks, NAME, "mark", version).enqueue() for _ in range(2))
        eventually(lambda: waiting(worker) == 2, "they wait")
        job.cancel()
        with pytest.raises(JobCancelled):
            job.result(timeout=20)
        assert waiting(worker) == 1
        gate.open.set()
        assert other.result(timeout=20) == "a"


def test_a_worker_that_stops_hands_back_what_waits_for_a_version(
    marks: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    version = version_of(marks, NAME, "mark", mark="a")
    with running_worker(marks) as worker:
        job = jobs_of(marks, NAME, "mark", version).enqueue()
        eventually(lambda: waiting(worker) == 1, "it waits")
        stopping = Thread(target=worker.stop, args=[600.0])  # a grace is for what runs
        stopping.start()
        eventually(lambda: job.refresh().state == "ready", "it is handed back")
        assert job.attempt == 0
        stopping.join(60)
        assert not stopping.is_alive()
    gate.open.set()
    with running_worker(marks):
        assert job.result(timeout=20) == "a"


def test_a_job_that_waits_too_long_is_handed_back_for_a_worker_that_holds_its_version(
    marks: Tidemill, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = version_of(marks, NAME, "mark", mark="a")
    one = WorkerSettings(concurrency=1, lease_ms=4_000)
    with running_worker(marks, one) as holder:
        assert jobs_of(marks, NAME, "mark", version).enqueue().result(timeout=20) == "a"
        assert held(holder, NAME, 1) == [1]
        gate = Gate(monkeypatch)
        monkeypatch.setattr(settings, "TEMPLATE_HAND_BACK_MS", 50)
        with running_worker(marks, one):
            jobs = [jobs_of(marks, NAME, "mark", version).enqueue() for _ in range(20)]
            assert {job.result(timeout=20) for job in jobs} == {"a"}
            gate.open.set()


def test_while_the_server_does_not_answer_the_loader_tries_again(
    marks: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    load = Versions.load

    def failing(versions: Versions, requests: list[object]) -> object:
        if requests:
            tries.append(len(requests))
        if len(tries) in (1, 2, 3):
            raise ServerUnavailable("it is away")
        return load(versions, requests)  # type: ignore[arg-type]

    monkeypatch.setattr(Versions, "load", failing)
    monkeypatch.setattr(settings, "TEMPLATE_REPORT_SECONDS", 600)  # nothing else wakes it
    version = version_of(marks, NAME, "mark", mark="a")
    with running_worker(marks):
        assert jobs_of(marks, NAME, "mark", version).enqueue().result(timeout=20) == "a"
    assert len(tries) == 4


def test_what_is_held_goes_on_when_the_server_was_away_and_has_lost_the_content(own_server: Server) -> None:
    with Tidemill(own_server.url) as mill:

        @mill.task(name="mark")
        def mark(mark: str) -> str:
            return mark

        version = version_of(mill, NAME, "mark", mark="a")
        with running_worker(mill) as worker:
            jobs = jobs_of(mill, NAME, "mark", version)
            assert jobs.enqueue().result(timeout=20) == "a"
            own_server.kill()
            own_server.start()
            with opened(mill) as link:  # which waits until the server is there again
                link.run(Command(("DEL", mill.client.scripts.keys.content(NAME, 1)), int))
            assert jobs.enqueue().result(timeout=60) == "a"
            assert held(worker, NAME, 1) == [1]


def test_a_job_of_a_version_that_is_not_there_is_parked_and_runs_when_it_is(
    marks: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PARK_BASE_MS", 20)
    digest = digest_of(content_of(marks, "mark", {"mark": "a"}).pack())
    with running_scheduler(marks), running_worker(marks):
        job = jobs_of(marks, NAME, "mark", Version(1, digest)).enqueue()
        late = jobs_of(marks, NAME, "mark", Version(1, digest), late=True).enqueue()
        eventually(lambda: "has no version 1" in job.refresh().record.parked, "it was parked")
        eventually(lambda: "is not published" in late.refresh().record.parked, "and the other one")
        assert job.attempt == 0
        version_of(marks, NAME, "mark", mark="a")
        assert job.result(timeout=60) == late.result(timeout=60) == "a"


def test_a_number_that_means_another_content_is_not_run(marks: Tidemill) -> None:
    version_of(marks, NAME, "mark", mark="other")
    meant = Version(1, digest_of(content_of(marks, "mark", {"mark": "meant"}).pack()))
    with running_worker(marks):
        job = jobs_of(marks, NAME, "mark", meant).enqueue()
        eventually(lambda: "another content" in job.refresh().record.parked, "it was parked")


def test_after_a_restore_the_number_may_mean_something_else_and_is_loaded_again(
    marks: Tidemill, server: Server
) -> None:
    before = version_of(marks, NAME, "mark", mark="before")
    with running_worker(marks) as worker:
        assert jobs_of(marks, NAME, "mark", before).enqueue().result(timeout=20) == "before"
        content = content_of(marks, "mark", {"mark": "after"}).pack()
        server.client.set(marks.client.scripts.keys.content(NAME, 1), content)  # nobody tells the worker
        after = Version(before.number, digest_of(content))
        assert jobs_of(marks, NAME, "mark", after).enqueue().result(timeout=20) == "after"
        assert held(worker, NAME, 1) == [1]


def test_jobs_of_a_damaged_content_are_dead_letters(marks: Tidemill) -> None:
    damaged = b"\x81\xa4task\xa4mark"
    version = store(marks, NAME, "mark", digest_of(damaged), damaged)
    foreign = publish(marks, "foreign", content_of(marks, "plain", {}))
    with running_worker(marks):
        with pytest.raises(JobFailed, match="the content of template 'stock' can't be read"):
            jobs_of(marks, NAME, "mark", version).enqueue().result(timeout=20)
        with pytest.raises(JobFailed, match="is of task 'plain' and not of 'mark'"):
            jobs_of(marks, "foreign", "mark", foreign).enqueue().result(timeout=20)


def test_an_application_with_keys_runs_signed_contents_only(url: str) -> None:
    keys = {"a": b"k" * 32}
    with Tidemill(url, signing_keys=keys) as mill:

        @mill.task(name="mark")
        def mark(mark: str) -> str:
            return mark

        signed = version_of(mill, "signed", "mark", mark="signed")
        content = content_of(mill, "mark", {"mark": "plain"}).pack()
        unsigned = store(mill, "unsigned", "mark", digest_of(content), content)
        with running_worker(mill):
            assert jobs_of(mill, "signed", "mark", signed).enqueue().result(timeout=20) == "signed"
            with pytest.raises(JobFailed, match="the content of template 'unsigned' is refused: it is not signed"):
                jobs_of(mill, "unsigned", "mark", unsigned).enqueue().result(timeout=20)


def test_a_worker_without_keys_leaves_signed_contents_to_others(url: str, marks: Tidemill) -> None:
    with Tidemill(url, signing_keys={"a": b"k" * 32}) as signer:
        version = version_of(signer, NAME, "mark", mark="a")
    with running_worker(marks):
        job = jobs_of(marks, NAME, "mark", version).enqueue()
        eventually(lambda: "this worker has no keys" in job.refresh().record.parked, "it was parked")


def test_the_cache_is_bounded_and_what_was_let_go_is_loaded_again(marks: Tidemill) -> None:
    few = WorkerSettings(concurrency=4, lease_ms=4_000, template_cache_entries=2)
    versions = [version_of(marks, f"t{number}", "mark", mark=f"{number}") for number in range(6)]
    with running_worker(marks, few) as worker:
        for _ in range(2):
            for number, version in enumerate(versions):
                job = jobs_of(marks, f"t{number}", "mark", version).enqueue()
                assert job.result(timeout=20) == f"{number}"
        assert len(versions_of(worker).cache) <= 2


def test_a_version_that_is_larger_than_the_cache_runs_all_the_same(marks: Tidemill) -> None:
    tiny = WorkerSettings(concurrency=4, lease_ms=4_000, template_cache_bytes=100)
    version = version_of(marks, NAME, "mark", mark="a" * 1_000)
    with running_worker(marks, tiny) as worker:
        assert jobs_of(marks, NAME, "mark", version).enqueue().result(timeout=20) == "a" * 1_000
        assert len(versions_of(worker).cache) == 0
