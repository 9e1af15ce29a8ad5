"""Each kind of damage is reported, nothing is changed by looking, it is mended when told to, and the job runs."""

from __future__ import annotations

import pytest

from conditions import eventually
from doctor.damages import DAMAGES, QUEUE, WORKER, Damage, Scene
from fleet import running_fleet, running_worker
from servers import Server
from tidemill import Report, Tidemill
from tidemill.doctor import Kind, settings
from tidemill_consumers.settings import WorkerSettings

State = dict[str, bytes]


@pytest.fixture
def scene(mill: Tidemill, server: Server) -> Scene:
    return Scene(mill, server)


@pytest.fixture(autouse=True)
def _short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "GIVEN_LEASE_MS", 500)


def whole(server: Server) -> State:
    """Every key as the server would save it, groups and pending lists included."""
    return {key: server.client.dump(key) for key in server.all_keys()}


def kinds(report: Report) -> list[Kind]:
    return sorted(one.kind for one in report.findings)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_damage_is_seen_and_mended_and_nothing_is_lost(
    scene: Scene, server: Server, damage: Damage, monkeypatch: pytest.MonkeyPatch
) -> None:
    if damage.is_late:
        monkeypatch.setattr(settings, "LATE_MS", 0)
    job = damage.make(scene)
    before = whole(server)
    seen = scene.mill.doctor()
    assert kinds(seen) == sorted(damage.kinds)
    assert seen.left == seen.findings
    assert whole(server) == before, "looking changes nothing"
    mended = scene.mill.doctor(repair=True)
    assert set(kinds(mended)) <= set(damage.kinds), "what follows from something else is mended with it"
    assert {one.repaired for one in mended.findings} == {not damage.left}
    again = scene.mill.doctor()
    assert kinds(again) == (sorted(damage.kinds) if damage.left else [])
    if job is not None:
        with running_fleet(scene.mill):
            assert job.result(timeout=30) == 3
        assert scene.mill.doctor().findings == ()
        assert scene.mill.inspect.queue(QUEUE).counters["succeeded"] == "1"
    damage.cleanup(scene)


def test_every_kind_has_a_damage_that_shows_it() -> None:
    shown = {kind for damage in DAMAGES for kind in damage.kinds}
    assert shown | {Kind.TICKET_WITHOUT_JOB, Kind.TICKET_NOT_TAKEN} == set(Kind)


def test_a_job_whose_ticket_was_deleted_stays_with_the_worker_that_lives(scene: Scene, server: Server) -> None:
    job = scene.take()
    entry = scene.entry()
    server.client.xack(scene.stream, "tidemill", entry)
    server.client.xdel(scene.stream, entry)
    (found,) = scene.mill.doctor(repair=True).left
    assert (found.kind, found.subject) == (Kind.RUNNING_WITHOUT_TICKET, job.id)
    assert WORKER in found.repair
    completed = scene.link.run(scene.scripts.complete(WORKER, QUEUE, "normal", [(job.id, entry.decode(), 1, b"\x03")]))
    assert completed == [1], "the worker has ended it, and nobody else has run it"
    assert scene.mill.doctor().healthy


def test_a_deleted_consumer_gets_its_running_job_back(scene: Scene, server: Server) -> None:
    job = scene.take()
    server.client.xgroup_delconsumer(scene.stream, "tidemill", WORKER)
    mended = scene.mill.doctor(repair=True)
    assert kinds(mended) == [Kind.TICKET_OF_NOBODY]
    assert mended.left == ()
    assert scene.mill.doctor().healthy
    scene.link.run(scene.scripts.end_lease(WORKER, "it was killed"))
    with running_fleet(scene.mill):
        assert job.result(timeout=30) == 3


def test_a_ready_job_that_its_worker_was_given_and_forgot_goes_to_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "MOVED_ON_MS", 200)
    job = scene.deliver()
    assert scene.mill.doctor().healthy, "it may yet be taken"

    def seen() -> bool:
        scene.enqueue().cancel()
        scene.read_again()
        return Kind.TICKET_NOT_TAKEN in kinds(scene.mill.doctor())

    eventually(seen, "the worker has read on without it")
    assert scene.mill.doctor(repair=True).left == ()
    assert scene.mill.doctor().healthy
    with running_fleet(scene.mill):
        assert job.result(timeout=30) == 3


def test_the_ticket_of_a_record_that_vanished_while_it_ran_is_removed(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "MOVED_ON_MS", 200)
    keys = mill.client.scripts.keys

    @mill.task()
    def vanish(job_id: str) -> None:
        server.client.delete(keys.job(job_id))

    @mill.task()
    def nothing() -> None:
        pass

    with running_worker(mill, WorkerSettings(concurrency=2, lease_ms=2_000)):
        vanish.using(job_id="lost").enqueue("lost")
        eventually(lambda: not server.client.exists(keys.job("lost")), "its record is gone")

        def seen() -> bool:
            nothing.enqueue().result(timeout=30)
            return kinds(mill.doctor()) == [Kind.TICKET_WITHOUT_JOB]

        eventually(seen, "the worker has gone on")
        assert mill.doctor(repair=True).left == ()
        assert mill.doctor().healthy
        assert server.client.xlen(keys.ready(QUEUE, "normal")) == 0


def test_two_doctors_at_once_make_one_ticket(scene: Scene, server: Server) -> None:
    """The second has read the marks before the first has mended."""
    job = scene.enqueue()
    server.client.delete(scene.stream)
    marks = scene.link.run(scene.scripts.check_records([job.id], repair=False)).needs_ticket
    lost = [(one.job_id, one.mark) for one in marks]
    assert len(scene.link.run(scene.scripts.reinstate(lost, repair=True))) == 1
    assert scene.link.run(scene.scripts.reinstate(lost, repair=True)) == []
    assert server.client.xlen(scene.stream) == 1


def test_a_job_that_was_given_a_new_ticket_has_all_its_attempts(scene: Scene, server: Server) -> None:
    job = scene.enqueue()
    server.client.delete(scene.stream)
    scene.mill.doctor(repair=True)
    with running_fleet(scene.mill):
        assert job.result(timeout=30) == 3
    assert job.attempt == 1


def test_repairs_are_logged_and_counted_and_findings_are_not(
    scene: Scene, server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []
    monkeypatch.setattr("tidemill.telemetry.repaired", counted.append)
    caplog.set_level("INFO", "tidemill.doctor")
    job = scene.enqueue()
    server.client.delete(scene.stream)
    scene.mill.doctor()
    assert (caplog.text, counted) == ("", [])
    scene.mill.doctor(repair=True)
    assert f"kind=ready_without_ticket key={scene.keys.job(job.id)}" in caplog.text
    assert counted == ["ready_without_ticket"]


async def test_the_doctor_can_be_asked_from_async_code(scene: Scene, server: Server) -> None:
    job = scene.enqueue()
    server.client.delete(scene.stream)
    assert kinds(await scene.mill.adoctor()) == [Kind.READY_WITHOUT_TICKET]
    assert (await scene.mill.adoctor(repair=True)).left == ()
    assert (await scene.mill.adoctor()).healthy
    assert (await job.arefresh()).state == "ready"
    await scene.mill.aclose()
