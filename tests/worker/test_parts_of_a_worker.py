"""The small parts by themselves, and what follows when one of them fails."""

from __future__ import annotations

import socket
import struct
import threading
import time
from types import SimpleNamespace

import pytest

from tidemill import InvalidInput, Tidemill
from tidemill.retry import NO_RETRY
from tidemill.task import Definition
from tidemill.wire.scripts import Taken
from tidemill_consumers.concurrency.limiter import FixedLimit
from tidemill_consumers.deadlines import Deadlines
from tidemill_consumers.executors.child import outcome_of, resident_megabytes
from tidemill_consumers.executors.child_process import how_it_ended
from tidemill_consumers.executors.frames import Channel, Frame
from tidemill_consumers.intake import Intake
from tidemill_consumers.outcomes import Dead, Outcome, Parked, Released, Retried, Succeeded
from tidemill_consumers.pace import Pace
from tidemill_consumers.run import Interrupt, Run
from tidemill_consumers.runs import Runs
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.settlement import Settlement
from tidemill_consumers.worker import Worker


def run_of(job_id: str, *, attempt: int = 1, incarnation: str = "w", timeout_ms: int | None = None) -> Run:
    taken = Taken(job_id, "q", 1, f"{attempt}-1", attempt, 0, "t", b"", b"", 0, 0, 0, "", b"", incarnation)
    return Run(taken, Definition("t", print, "q"), NO_RETRY, timeout_ms)


def raise_it(role: str, error: BaseException) -> None:
    raise AssertionError(role) from error


def test_an_executors_thread_that_dies_is_reported(
    mill: Tidemill, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def put(_: Settlement, taken: Taken, outcome: Outcome) -> None:
        raise RuntimeError(f"no {taken.id} {outcome}")

    @mill.task()
    def plain() -> None: ...

    @mill.task()
    async def awaited() -> None: ...

    failures = threading.Semaphore(0)
    worker = Worker(mill, WorkerSettings(), failures.release)
    worker.start()
    monkeypatch.setattr(Settlement, "put", put)
    for task in (plain, awaited):
        task.enqueue()
        assert failures.acquire(timeout=10)
    monkeypatch.undo()
    worker.stop(grace_seconds=0)
    roles = [record.getMessage() for record in caplog.records if record.name == "tidemill.worker"]
    assert any("role=thread-1" in text for text in roles)
    assert any("role=loop" in text for text in roles)
    assert mill.inspect.queue("default").running == 0, "what it held was handed back"


def test_the_same_job_can_be_held_twice_under_two_names() -> None:
    intake = Intake(("q",), FixedLimit(2), Pace(FixedLimit(2)), lambda: False)
    old, new = run_of("job"), run_of("job", attempt=2, incarnation="successor")
    intake.hold([old.taken, new.taken])
    assert intake.held_entries("w") == {("q", 1, "1-1")}
    intake.settled([old.taken])
    assert intake.held_entries("w") == set()
    assert intake.held_entries("successor") == {("q", 1, "2-1")}
    runs = Runs()
    assert runs.add([old, new]) == ([old, new], [])
    assert runs.remove(old.taken) == []
    assert runs.all() == [new]


def test_what_is_being_handed_back_is_not_held_any_more(mill: Tidemill) -> None:
    """It may come back before the server's answer, and must not be taken for what is held already."""
    worker = Worker(mill, WorkerSettings())
    jobs = [run_of(name).taken for name in ("back", "done")]
    worker.intake.hold(jobs)
    worker.decided([(jobs[0], Released()), (jobs[1], Succeeded(b""))])
    assert worker.intake.held_jobs("w") == {"done"}
    worker.settled(jobs)
    assert worker.intake.held_jobs("w") == set()


def test_a_run_that_was_handed_back_does_not_wait_any_more() -> None:
    runs, run = Runs(), run_of("job")
    runs.add([run])
    assert runs.waiting_since() == run.taken_at
    run.finish()
    assert runs.waiting_since() is None


def test_a_worker_that_is_full_waits_for_room_until_it_stops() -> None:
    intake = Intake(("q",), FixedLimit(1), Pace(FixedLimit(1)), lambda: False)
    assert intake.wait_for_room() == 1
    intake.hold([run_of("job").taken])
    answers: list[int | None] = []
    thread = threading.Thread(target=lambda: answers.append(intake.wait_for_room()))
    thread.start()
    intake.stop()
    thread.join(10)
    assert answers == [0]
    assert intake.open_queues() == ()


def test_an_outcome_counts_once_and_an_interrupt_too() -> None:
    run = run_of("job")
    assert run.stop(Interrupt.TIMEOUT)
    assert not run.stop(Interrupt.CANCEL)
    assert run.interrupt is Interrupt.TIMEOUT
    assert run.finish()
    assert not run.finish()
    over = run_of("job")
    over.finish()
    assert not over.stop(Interrupt.CANCEL)


def test_a_run_that_was_stopped_before_it_began_is_told_so() -> None:
    run = run_of("job")
    run.stop(Interrupt.CANCEL)

    def report(_: Run, fraction: float, text: str) -> None:
        raise AssertionError(f"{fraction} {text}")

    assert run.start(report).should_stop


def test_timeouts_come_in_their_order_and_never_for_a_closed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    fired: list[str] = []
    both = threading.Event()

    def on_timeout(run: Run) -> None:
        fired.append(run.taken.id)
        if len(fired) == 2:
            both.set()

    deadlines = Deadlines(on_timeout, raise_it)
    deadlines.start()
    with monkeypatch.context() as standing_still:
        now = time.monotonic()
        standing_still.setattr("tidemill_consumers.deadlines.time", SimpleNamespace(monotonic=lambda: now))
        deadlines.add(run_of("late", timeout_ms=60))
        deadlines.add(run_of("soon", timeout_ms=20))
        deadlines.add(run_of("never"))
        deadlines.add(run_of("far", timeout_ms=10**15))
    assert both.wait(10)
    assert fired == ["soon", "late"]
    deadlines.close()


def test_timeouts_of_jobs_that_are_over_take_no_memory() -> None:
    deadlines = Deadlines(lambda _: None, raise_it)
    for number in range(20_000):
        run = run_of(str(number), timeout_ms=3_600_000)
        deadlines.add(run)
        if number % 100:
            run.finish()
    assert len(deadlines) < 2_000
    deadlines.close()


def test_frames_carry_a_map_and_bytes() -> None:
    ours, theirs = (Channel(end) for end in socket.socketpair())
    payload = bytes(range(256)) * 10_000
    sender = threading.Thread(target=ours.send, args=({"kind": "job", "n": 1}, payload))
    sender.start()
    assert theirs.receive() == Frame({"kind": "job", "n": 1}, payload)
    sender.join(10)
    assert theirs.receive(timeout_seconds=0.01) is None
    ours.close()
    assert theirs.receive() is None
    theirs.close()


def test_frames_of_several_threads_do_not_mix() -> None:
    ours, theirs = (Channel(end) for end in socket.socketpair())

    def send(number: int) -> None:
        for _ in range(50):
            ours.send({"n": number}, bytes([number]) * 5_000)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        frame = theirs.receive(10)
        assert frame is not None
        assert frame.payload == bytes([frame.message["n"]]) * 5_000
    for thread in threads:
        thread.join(10)
    ours.close()
    theirs.close()


@pytest.mark.parametrize("data", [struct.pack("!II", 1, 0) + b"\xc1", struct.pack("!II", 2, 0) + b"\x91\x01"])
def test_what_is_no_frame_ends_the_conversation(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(theirs)
    ours.sendall(data)
    assert channel.receive(10) is None
    with pytest.raises(InvalidInput):
        channel.send({"text": "x" * 300_000})
    ours.close()
    channel.close()


def test_what_a_child_says_is_an_outcome() -> None:
    error = {"type": "ValueError", "message": "no", "traceback": "..."}
    assert outcome_of(Frame({"kind": "succeeded"}, b"\x01")) == Succeeded(b"\x01")
    parked = {"kind": "parked", "reason": "r", "delay_ms": 5, "label": "breaker_open"}
    assert outcome_of(Frame(parked, b"")) == Parked("r", 5, "breaker_open")
    retried, dead = (
        outcome_of(Frame({"kind": kind, "delay_ms": 5, "reason": "r", "fallback": "f", **error}, b""))
        for kind in ("retried", "dead")
    )
    assert isinstance(retried, Retried)
    assert isinstance(dead, Dead)
    assert (retried.delay_ms, retried.reason, retried.fallback, dead.reason) == (5, "r", "f", "r")


def test_how_a_process_ended_is_said_in_words() -> None:
    assert how_it_ended(3) == "ended with exit code 3"
    assert how_it_ended(-9) == "was killed by SIGKILL"
    assert how_it_ended(-250) == "was killed by signal 250"
    assert 1 < resident_megabytes() < 4_000
