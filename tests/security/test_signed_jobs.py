"""Signed jobs through the whole product: enqueued, taken, retried, recovered, requeued, recurring, and forged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from conditions import eventually, eventually_each
from fleet import running_fleet, running_scheduler, running_worker
from servers import Server
from tidemill import InvalidInput, Job, Retry, Tidemill, current_job
from tidemill.recurring import unpack
from tidemill.wire.signing import Signable, Signing, is_signed
from tidemill_consumers.settings import WorkerSettings
from worker import jobs_app
from worker.processes import running

OLD, NEW = b"o" * 32, b"n" * 32
SECONDS = 30
MakeMill = Callable[..., Tidemill]


def register(mill: Tidemill) -> None:
    @mill.task(name="add", retry=Retry(max_attempts=3, base=0.01))
    def add(a: int, b: int) -> int:
        return a + b

    @mill.task(name="steal")
    def steal(a: int, b: int) -> str:
        return "stolen"

    @mill.task(name="fails.once", retry=Retry(max_attempts=3, base=0.01))
    def fails_once() -> int:
        if current_job().attempt == 1:
            raise ValueError("once")
        return current_job().attempt

    @mill.task(name="fails")
    def fails() -> None:
        raise ValueError("always")

    @mill.task(name="add.async")
    async def add_async(a: int, b: int) -> int:
        return a + b


@pytest.fixture
def make(url: str) -> Iterator[MakeMill]:
    """Makes applications that differ in their keys."""
    made: list[Tidemill] = []

    def make_mill(**keys: bytes) -> Tidemill:
        mill = Tidemill(url, signing_keys=keys or None)
        register(mill)
        made.append(mill)
        return mill

    yield make_mill
    for mill in made:
        mill.close()


def refusal_of(job: Job[Any]) -> str:
    """The reason for which the job became a dead letter without having run."""
    eventually(lambda: job.refresh().state.is_over, "it is over", SECONDS)
    assert job.state == "dead"
    assert job.error is not None
    assert job.error.type == "InvalidSignature"
    return job.error.message


def record(server: Server, job: Job[Any]) -> str:
    return f"tm:{{0}}:job:{job.id}"


def test_signed_jobs_run(make: MakeMill) -> None:
    producer, worker = make(new=NEW), make(new=NEW)
    job = producer.named("add").using(expires=60, timeout=5, unique="u").enqueue(1, b=2)
    assert is_signed(job.record.body)
    with running_fleet(worker):
        assert job.result(SECONDS) == 3
        assert producer.enqueue("add.async", 2, 2).result(SECONDS) == 4
        assert producer.enqueue("fails.once").result(SECONDS) == 2
        assert producer.named("add").using(delay=0.1).enqueue(1, 1).result(SECONDS) == 2


async def test_signed_jobs_of_async_code_run(make: MakeMill) -> None:
    mill = make(new=NEW)
    with running_fleet(mill):
        job = await mill.aenqueue("add", 1, 2)
        assert await job.aresult(SECONDS) == 3
    await mill.aclose()


def test_without_keys_a_body_is_what_it_was_before(make: MakeMill) -> None:
    mill = make()
    job = mill.enqueue("add", 1, b=2)
    assert job.record.body == mill.codec.encode_call((1,), {"b": 2}) == b"\x92\x91\x01\x81\xa1b\x02"


def test_a_worker_with_keys_refuses_what_is_not_signed_and_keeps_its_bytes(
    make: MakeMill, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tidemill")
    job = make().enqueue("add", 1, b=777_777)
    body = job.record.body
    with running_worker(make(new=NEW)):
        assert refusal_of(job) == "it is not signed"
    assert job.record.body == body
    assert "reason=unsigned" in caplog.text
    assert "reason=signature" in caplog.text
    assert "777777" not in caplog.text


def test_a_worker_refuses_a_signature_of_another_key(make: MakeMill) -> None:
    forged = make(new=b"f" * 32).enqueue("add", 1, 2)
    unknown = make(other=b"f" * 32).enqueue("add", 1, 2)
    with running_worker(make(new=NEW)):
        assert "signature does not match" in refusal_of(forged)
        assert "signed with key other" in refusal_of(unknown)


def test_bodies_that_were_swapped_are_refused(make: MakeMill, server: Server) -> None:
    mill = make(new=NEW)
    one, two = mill.enqueue("add", 1, 2), mill.enqueue("add", 3, 4)
    bodies = one.record.body, two.record.body
    server.client.hset(record(server, one), "b", bodies[1])
    server.client.hset(record(server, two), "b", bodies[0])
    with running_worker(mill):
        assert "signature does not match" in refusal_of(one.refresh())
        assert "signature does not match" in refusal_of(two.refresh())


@pytest.mark.parametrize(
    ("field", "value"), [("t", b"steal"), ("b", b"\x92\x92\x05\x06\x80"), ("o", b"\x81\xaatimeout_ms\x01")]
)
def test_a_record_that_was_changed_is_refused(make: MakeMill, server: Server, field: str, value: bytes) -> None:
    mill = make(new=NEW)
    job = mill.enqueue("add", 1, 2)
    server.client.hset(record(server, job), field, value)
    with running_worker(mill):
        refusal_of(job)


def test_a_job_in_another_queues_stream_is_not_run(make: MakeMill, server: Server) -> None:
    mill = make(new=NEW)
    job = mill.named("add").using(queue="slow").enqueue(1, 2)
    server.client.xadd("tm:{0}:ready:default:normal", {"j": job.id})
    with running_worker(mill):
        assert mill.named("add").using(queue="default").enqueue(2, 2).result(SECONDS) == 4
        eventually(lambda: job.refresh().state != "running", "it was looked at", SECONDS)
    assert job.state != "succeeded"


def test_a_record_copied_to_another_id_is_refused(make: MakeMill, server: Server) -> None:
    mill = make(new=NEW)
    job = mill.enqueue("add", 1, 2)
    server.client.copy(record(server, job), "tm:{0}:job:copy")
    server.client.xadd("tm:{0}:ready:default:normal", {"j": "copy"})
    with running_worker(mill):
        assert job.result(SECONDS) == 3
        assert "signature does not match" in refusal_of(mill.job("copy"))


def test_a_dead_letter_that_is_requeued_by_hand_is_verified_again(make: MakeMill, server: Server) -> None:
    mill, operator = make(new=NEW), make()
    failed, forged = mill.enqueue("fails"), operator.enqueue("add", 1, 2)
    with running_worker(mill):
        eventually(lambda: failed.refresh().state == "dead", "it failed", SECONDS)
        assert failed.error is not None
        assert failed.error.type == "ValueError"
        operator.job(failed.id).retry()
        eventually(lambda: failed.refresh().state == "dead", "it failed again", SECONDS)
        assert failed.error.type == "ValueError"
        refusal_of(forged)
        operator.job(forged.id).retry()
        assert refusal_of(forged) == "it is not signed"


def test_new_arguments_of_a_dead_letter_are_signed_and_without_keys_refused(make: MakeMill, server: Server) -> None:
    mill, keyless = make(new=NEW), make()
    job = mill.enqueue("add", "1", 2)
    with running_fleet(mill):
        eventually(lambda: job.refresh().state == "dead", "it failed", SECONDS)
        with pytest.raises(InvalidInput, match="is signed, and this process has no keys"):
            keyless.dead_letters.retry(job.id, args=[1, 2])
        assert keyless.dead_letters.arguments(job.id) == (["1", 2], {})
        assert job.refresh().state == "dead"
        retried = mill.dead_letters.retry(job.id, args=[1, 2])
        assert retried.result(SECONDS) == 3
    assert is_signed(retried.record.body) or not retried.record.body


def test_a_forged_dead_letter_is_not_signed_for_whoever_forged_it(make: MakeMill, server: Server) -> None:
    """A foreign hand changes a dead letter's task, and waits for somebody to give it new arguments."""
    mill, keyless = make(new=NEW), make()
    changed, plain = mill.enqueue("fails"), keyless.enqueue("add", 1, 2)
    with running_worker(mill):
        eventually_each((changed, plain), lambda job: job.refresh().state == "dead", "it failed", SECONDS)
    server.client.hset(record(server, changed), "t", "steal")
    with pytest.raises(InvalidInput, match="can't be signed anew: its signature does not match"):
        mill.dead_letters.retry(changed.id, args=[1, 2])
    with pytest.raises(InvalidInput, match="can't be signed anew: it is not signed; enqueue a new job"):
        mill.dead_letters.retry(plain.id, args=[1, 2])
    assert (changed.refresh().state, plain.refresh().state) == ("dead", "dead")


def test_new_arguments_are_a_new_start_for_a_job_that_was_signed_to_expire(make: MakeMill, server: Server) -> None:
    mill = make(new=NEW)
    job = mill.enqueue("add", "1", 2)
    with running_fleet(mill):
        eventually(lambda: job.refresh().state == "dead", "it failed", SECONDS)
        signed = Signing({"new": NEW}, "tm", clock=lambda: 0)
        options = server.client.hget(record(server, job), "o") or b""
        body = signed.sign(Signable("default", "add", job.id, options), b"\x92\x90\x80", 1)
        server.client.hset(record(server, job), "b", body)
        assert mill.dead_letters.retry(job.id, args=[1, 2]).result(SECONDS) == 3


def test_a_job_of_a_worker_that_died_is_verified_by_the_next(make: MakeMill, server: Server) -> None:
    mill = make(new=NEW)
    job = mill.enqueue("add", 1, 2)
    scripts, link = mill.client.scripts, mill.client.link
    link.run(scripts.register("lost", 1, ["default"], {}, {"host": "h"}))
    assert link.run(scripts.take("lost", ["default"], 1)) is not None
    recover = scripts.recover("lost", "default", 10, 3, b"")
    eventually(lambda: link.run(recover).ready == [job.id], "its lease is over, and the job recovered", SECONDS)
    with running_worker(mill):
        assert job.result(SECONDS) == 3
    assert job.record.crashes == 1


def test_while_keys_rotate_old_and_new_producers_are_served_and_then_the_old_is_not(make: MakeMill) -> None:
    old, new = make(old=OLD), make(new=NEW, old=OLD)
    with running_worker(make(new=NEW, old=OLD)):
        assert old.enqueue("add", 1, 2).result(SECONDS) == 3
        assert new.enqueue("add", 1, 2).result(SECONDS) == 3
    with running_worker(make(new=NEW)):
        assert new.enqueue("add", 1, 2).result(SECONDS) == 3
        assert "signed with key old" in refusal_of(old.enqueue("add", 1, 2))


def test_a_worker_without_keys_leaves_signed_jobs_to_those_that_have_them(make: MakeMill) -> None:
    job = make(new=NEW).enqueue("add", 1, 2)
    plain = make()
    with running_worker(plain):
        assert plain.enqueue("add", 2, 2).result(SECONDS) == 4
        eventually(lambda: job.refresh().record.parked, "it is parked", SECONDS)
    assert job.record.parked == "it is signed, and this worker has no keys"
    assert (job.state == "scheduled", job.attempt) == (True, 0)
    with running_fleet(make(new=NEW)):
        assert job.result(SECONDS) == 3


def test_signing_is_switched_on_without_losing_a_job(make: MakeMill, url: str) -> None:
    """The order of docs/security.md: workers first, accepting both; then producers; then no unsigned ones any more."""
    plain, signing = make(), make(new=NEW)
    before = plain.named("add").using(delay=0.3).enqueue(1, 1)
    tolerant = Tidemill(url, signing_keys={"new": NEW}, accept_unsigned=True)
    register(tolerant)
    with running_fleet(tolerant):
        assert before.result(SECONDS) == 2
        assert signing.enqueue("add", 1, 2).result(SECONDS) == 3
        assert "signature does not match" in refusal_of(make(new=b"f" * 32).enqueue("add", 1, 2))
    tolerant.close()
    with running_worker(make(new=NEW)):
        assert refusal_of(plain.enqueue("add", 1, 1)) == "it is not signed"


def test_recurring_jobs_run_although_their_scheduler_has_no_keys(make: MakeMill) -> None:
    mill, scheduler = make(new=NEW), make()
    mill.every(timedelta(seconds=1), "add", args=(1, 2), name="often")
    published = mill.client.link.run(mill.client.scripts.recurring())
    mill.publish()
    assert mill.client.link.run(mill.client.scripts.recurring()) == published
    with running_scheduler(scheduler), running_worker(mill):
        found = eventually(
            lambda: [job for job in mill.inspect.jobs("default") if job.state == "succeeded"], "one ran", SECONDS
        )
    assert found[0].id.startswith("every:often:")
    assert found[0].result(0) == 3


def test_the_body_of_a_recurring_job_cannot_be_lifted_to_another_task_or_id(make: MakeMill, server: Server) -> None:
    mill = make(new=NEW)
    mill.every(timedelta(hours=1), "add", args=(1, 2), name="hourly")
    definition = mill.client.link.run(mill.client.scripts.definition("hourly"))
    body = unpack("hourly", definition).body
    assert is_signed(body)
    forged = {"every:hourly:1": "steal", "every:daily:1": "add", "mine": "add"}
    for job_id, task in forged.items():
        fields = {"s": "ready", "q": "default", "t": task, "c": 7, "b": body}
        server.client.hset(f"tm:{{0}}:job:{job_id}", mapping=fields)
        server.client.xadd("tm:{0}:ready:default:normal", {"j": job_id})
    with running_worker(mill):
        for job_id in forged:
            assert "signature does not match" in refusal_of(mill.job(job_id))


def test_a_child_process_runs_what_its_worker_has_verified_and_is_sent_no_keys(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker has its keys from its own application object; the children's have none."""
    monkeypatch.setenv("TIDEMILL_URL", url)
    monkeypatch.setenv("PYTHONPATH", str(Path(jobs_app.__file__).parents[1]))
    with Tidemill(url, signing_keys={"new": NEW}) as mill:
        mill.tasks.update({name: task for name, task in jobs_app.mill.tasks.items() if task.executor == "process"})
        settings = WorkerSettings(concurrency=2, lease_ms=2_000, child_processes=1, app_path="worker.jobs_app:mill")
        with running_worker(mill, settings):
            assert mill.enqueue("worker.jobs_app.multiply", 6, 7).result(SECONDS) == 42
            refusal_of(jobs_app.mill.enqueue("worker.jobs_app.multiply", 6, 7))
    jobs_app.mill.close()


def test_processes_take_their_keys_from_the_environment(url: str, tmp_path: Path) -> None:
    keys = "2026a:" + "a" * 43 + "="
    with (
        Tidemill(url, signing_keys=keys) as mill,
        running(tmp_path / "log", url, "worker", "worker.jobs_app:mill", TIDEMILL_SIGNING_KEYS=keys) as worker,
    ):
        assert mill.enqueue("worker.jobs_app.add", 1, 2).result(SECONDS) == 3
        assert mill.enqueue("worker.jobs_app.multiply", 6, 7).result(SECONDS) == 42
        worker.send(15)
        assert worker.wait(SECONDS) == 0
    assert "a" * 43 not in worker.output


def test_a_process_with_wrong_keys_does_not_start_and_does_not_print_them(url: str, tmp_path: Path) -> None:
    keys = "2026a:" + "A" * 20
    with running(tmp_path / "log", url, "worker", "worker.jobs_app:mill", TIDEMILL_SIGNING_KEYS=keys) as worker:
        assert worker.wait(SECONDS) == 2
    assert "signing key 1 has 15 bytes, which is too short" in worker.output
    assert "A" * 20 not in worker.output
