"""The checker finds what is wrong with a history: for each invariant a small one that violates it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chaos import figures
from chaos.checker import check
from chaos.history import Line, Recorder, lines_of, read
from chaos.processes import TESTS
from chaos.reading import ENDING_EVENTS, History

pytestmark = pytest.mark.once

T0 = 1_000.0


def line(op: str, at: float, proc: str = "worker-0.1", **fields: Any) -> Line:
    return {"t": T0 + at, "proc": proc, "op": op, **fields}


def enqueued(job: str, kind: str = "plain", at: float = 0.0, answer: str | None = None, **told: Any) -> list[Line]:
    return [
        line("enqueue", at, "producer-0.1", type="invoke", job=job, kind=kind, **told),
        line("enqueue", at + 0.01, "producer-0.1", type="ok", job=job, kind=kind, answer=answer or job),
    ]


def executed(
    job: str,
    at: float = 0.1,
    *,
    attempt: int = 1,
    tries: int = 1,
    outcome: str | None = "ok",
    process: str = "worker-0.1",
    first: bool = True,
) -> list[Line]:
    """outcome None: it was cut off."""
    fence = {"job": job, "inc": f"of {process}", "attempt": attempt, "tries": tries}
    found = [line("start", at, process, **fence)]
    if outcome == "ok":
        found.append(line("effect", at + 0.05, process, job=job, first=first))
    if outcome is not None:
        found.append(line("end", at + 0.05, process, **fence, outcome=outcome))
    return found


def ended(job: str, event: str = "complete", at: float = 0.2, *, attempt: int = 1, **record: Any) -> list[Line]:
    state = ENDING_EVENTS[event]
    times = {"created": str(int(T0 * 1000)), "finished": str(int((T0 + at) * 1000))}
    return [
        line("event", at, "nemesis", event=event, jobs=[job], entry="1-1"),
        line("record", 100, "nemesis", job=job, state=state, attempt=str(attempt), **{**times, **record}),
    ]


def hit(kind: str, at: float, process: str = "worker-0.1") -> Line:
    return line("fault", at, "nemesis", kind=kind, target=process, pid=None, seconds=0)


def found_in(lines: Sequence[Line], effects: Sequence[str] = ("j",), logs: Sequence[Line] = ()) -> list[str]:
    """The invariants that are violated."""
    ordered = sorted(lines, key=lambda one: one["t"])
    return [violation.invariant for violation in check(History(ordered, effects, logs))]


def test_a_job_that_was_enqueued_run_and_completed_is_fine() -> None:
    assert found_in([*enqueued("j"), *executed("j"), *ended("j")]) == []


def test_an_acknowledged_job_that_never_ended_is_lost() -> None:
    assert found_in(enqueued("j"), ()) == ["I1"]
    still_running = line("record", 100, "nemesis", job="j", state="running", attempt="1")
    assert found_in([*enqueued("j"), *executed("j", outcome=None), still_running], ()) == ["I1"]


def test_a_job_that_was_refused_must_not_exist() -> None:
    refused = [
        line("enqueue", 0, type="invoke", job="j", kind="plain"),
        line("enqueue", 0.01, type="fail", job="j", kind="plain", why="QueueFull"),
    ]
    assert found_in(refused, ()) == []
    assert found_in([*refused, *executed("j"), *ended("j")]) == ["I1"]


def test_a_job_whose_outcome_is_unknown_may_exist_or_not() -> None:
    unknown = [
        line("enqueue", 0, type="invoke", job="j", kind="plain"),
        line("enqueue", 0.01, type="info", job="j", kind="plain", why="EnqueueUnknown"),
    ]
    assert found_in(unknown, ()) == []
    assert found_in([*unknown, *executed("j"), *ended("j")]) == []
    assert found_in([unknown[0]], ()) == [], "its producer was killed"


def test_a_job_that_runs_again_has_a_reason() -> None:
    again = [
        *enqueued("j"),
        *executed("j", outcome=None),
        *executed("j", 3, attempt=2, process="worker-1.1"),
        *ended("j", at=3.1, attempt=2),
    ]
    assert found_in(again) == ["I2"]
    assert found_in([*again, hit("kill", 0.12)]) == []
    assert found_in([*again, hit("kill", 0.12, "worker-2.1")]) == ["I2"], "another process was hit"
    assert found_in([*again, line("die", 0.12, job="poison")]) == []
    assert found_in(again, logs=[{"event": "lease.lost", "worker": "of worker-0.1"}]) == []


def test_a_delayed_job_does_not_start_early() -> None:
    job = [*executed("j", 0.99), *ended("j", at=1.1)]
    assert found_in([*enqueued("j", "delayed", delay=1.0), *job]) == ["I3"]
    assert found_in([*enqueued("j", "delayed", delay=0.98), *job]) == []


@pytest.mark.parametrize(("second_at", "violated"), [(0.5, []), (0.4, ["I3"])])
def test_a_retry_does_not_start_early(second_at: float, violated: list[str]) -> None:
    failed = executed("j", outcome="Failing")
    second = executed("j", second_at, attempt=2, tries=2)
    assert found_in([*enqueued("j", "flaky"), *failed, *second, *ended("j", at=1, attempt=2)]) == violated


def test_no_try_is_counted_that_did_not_fail() -> None:
    second = executed("j", 0.5, attempt=2, tries=2)
    assert found_in([*enqueued("j", "flaky"), *second, *ended("j", at=1, attempt=2)]) == ["I3"]


def test_a_job_ends_once() -> None:
    twice = [*enqueued("j"), *executed("j"), *ended("j"), line("event", 0.3, event="cancel", jobs=["j"], entry="1-2")]
    assert found_in(twice) == ["I4", "I4"], "twice, and not as its record says"


def test_a_job_ends_as_its_kind_can() -> None:
    assert found_in([*enqueued("j"), *ended("j", "expire")], ()) == ["I4"]
    assert found_in([*enqueued("j", "expiring"), *ended("j", "expire")], ()) == []
    assert found_in([*enqueued("j"), *ended("j", "shed")], ()) == ["I4"]
    assert found_in([*enqueued("j", "sheddable"), *ended("j", "shed")], ()) == []


def test_a_cancellation_that_was_acknowledged_stays() -> None:
    cancelled = line("cancel", 0.05, type="ok", job="j", state="cancelled")
    assert found_in([*enqueued("j", "cancelled"), cancelled, *executed("j"), *ended("j")]) == ["I4"]
    assert found_in([*enqueued("j", "cancelled"), cancelled, *ended("j", "cancel")], ()) == []


def test_what_the_server_has_counted_is_what_has_ended() -> None:
    job = [*enqueued("j"), *executed("j"), *ended("j")]
    counter = {"queue": "default", "name": "succeeded"}
    assert found_in([*job, line("counter", 101, **counter, value=1)]) == []
    assert found_in([*job, line("counter", 101, **counter, value=2)]) == ["I5"]


def test_an_attempt_that_the_server_does_not_know_of_is_found() -> None:
    fenced = executed("j", 0.15, attempt=2, process="worker-1.1", first=False)
    assert found_in([*enqueued("j"), *executed("j"), hit("stop", 0.11), *fenced, *ended("j", attempt=1)]) == ["I5"]


def test_a_unique_key_is_held_by_one_job_at_a_time() -> None:
    first = [*enqueued("i", "unique", unique="k"), *executed("i"), *ended("i", at=0.5)]
    second = [*enqueued("j", "unique", unique="k"), *executed("j"), *ended("j")]
    later = str(int((T0 + 0.6) * 1000))
    done = str(int((T0 + 0.9) * 1000))
    effects = ("i", "j")
    assert found_in([*first, *second], effects) == ["I6"]
    apart = [*second[:-1], {**second[-1], "created": later, "finished": done}]
    assert found_in([*first, *apart], effects) == []


def test_a_job_is_answered_with_its_own_id() -> None:
    stranger = enqueued("j", answer="i")
    assert found_in(stranger, ()) == ["I7"]
    assert found_in(enqueued("j", "unique", unique="k", answer="i"), ()) == [], "its key was held"


def test_an_effect_is_made_once_and_by_those_that_succeed() -> None:
    job = [*enqueued("j"), *executed("j"), *ended("j")]
    assert found_in([*job, line("effect", 0.3, job="j", first=True)]) == ["I8"]
    assert found_in([*job, line("effect", 0.3, job="j", first=False)]) == []
    assert found_in(job, ()) == ["I8"]
    assert found_in([*enqueued("j", "expiring"), *ended("j", "expire")], ["j"]) == ["I8"], "it never ran"


def test_a_healthy_job_is_not_buried() -> None:
    buried = [*executed("j", outcome=None), hit("kill", 0.12), *ended("j", "bury", crashes="4")]
    assert found_in([*enqueued("j"), *buried], ()) == ["I10"]
    assert found_in([*enqueued("j", "poison"), *buried], ()) == []
    assert found_in([*enqueued("j", "poison"), *ended("j", "bury", crashes="2")], ()) == ["I10"], "too soon"
    assert found_in([*enqueued("j", "hopeless"), *executed("j", outcome="Failing"), *ended("j", "bury")], ()) == ["I10"]


def test_recovery_is_measured_from_the_last_sign_of_life() -> None:
    history = History(
        [
            line("spawn", -9, "nemesis", target="scheduler-0.1", pid=1),
            line("spawn", -9, "nemesis", target="worker-1.1", pid=2),
            *enqueued("j"),
            *executed("j", outcome=None),
            hit("kill", 0.5),
            line("fault", 1, "nemesis", kind="stall", target=None, pid=None, seconds=1.5),
            line("exit", 2, "nemesis", target="worker-1.1", code=-9),
            line("spawn", 3, "nemesis", target="worker-1.2", pid=3),
            *executed("j", 4.5, attempt=2, process="worker-1.2"),
        ]
    )
    recovery = figures.recoveries(history)[0]
    assert recovery.seconds == pytest.approx(4.0)
    assert recovery.net_seconds == pytest.approx(2.0), "the stall and the time without a worker overlap"
    assert str(recovery) == "4.00 s, net 2.00 s: a plain job, after kill; meanwhile stall 1.5 s"


def test_a_worker_that_was_stopped_and_renewed_its_lease_lived_on() -> None:
    lived_on = [
        *enqueued("j"),
        *executed("j", outcome=None),
        hit("stop", 0.5),
        hit("continue", 2),
        line("renewal", 2.6, "nemesis", renewed={"of worker-0.1": T0 + 2.1}),
    ]
    again = executed("j", 5.5, attempt=2, process="worker-1.2")
    killed = figures.recoveries(History([*lived_on, hit("kill", 3), *again]))[0]
    assert killed.seconds == pytest.approx(2.5)
    assert killed.hit == "kill"
    not_killed = figures.recoveries(History([*lived_on, *again]))[0]
    assert not_killed.seconds == pytest.approx(3.4)
    assert not_killed.hit == "stop"


def test_a_worker_that_was_stopped_and_did_not_renew_its_lease_was_dead_from_then_on() -> None:
    history = History(
        [
            *enqueued("j"),
            line("renewal", 0.3, "nemesis", renewed={"of worker-0.1": T0 + 0.2}),
            *executed("j", outcome=None),
            hit("stop", 0.5),
            hit("continue", 2),
            hit("kill", 3),
            *executed("j", 5.5, attempt=2, process="worker-1.2"),
        ]
    )
    recovery = figures.recoveries(history)[0]
    assert recovery.seconds == pytest.approx(5.0)
    assert recovery.hit == "stop"


def test_half_a_line_is_dropped() -> None:
    assert list(lines_of(b'{"op":"start"}\n{"op":"en')) == [{"op": "start"}]
    assert list(lines_of(b"")) == []


def test_a_process_that_is_killed_while_it_writes_leaves_whole_lines(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from chaos.history import Recorder\n"
        f"recorder = Recorder(Path({str(tmp_path)!r}), 'writer')\n"
        "while True: recorder.write('start', job='x' * 2000)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    writers = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    recorder = Recorder(tmp_path, "test")
    try:
        from conditions import eventually

        eventually(lambda: len(list(tmp_path.glob("writer.*"))) == 2, "both write")
        eventually(lambda: all(path.stat().st_size > 1_000_000 for path in tmp_path.glob("writer.*")), "a lot")
    finally:
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
    recorder.write("spawn", target="x", pid=1)
    recorder.close()
    lines = read(tmp_path)
    assert len(lines) > 900
    assert {one["op"] for one in lines} == {"start", "spawn"}
    assert all(json.dumps(one) for one in lines)


def test_a_line_that_could_be_torn_is_refused(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "test")
    with pytest.raises(AssertionError, match="may be torn"):
        recorder.write("start", job="x" * 5_000)
    recorder.close()
