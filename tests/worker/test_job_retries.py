"""What follows a failed attempt, and what a job can change of its task's policy."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from fleet import running_fleet, running_worker
from tidemill import JobFailed, Retry, Tidemill, current_job
from tidemill_consumers import settings


class Refused(Exception):
    """An error of the tests."""


def test_attempts_are_made_with_growing_delays_until_they_run_out(mill: Tidemill) -> None:
    times: list[float] = []

    @mill.task(retry=Retry(max_attempts=4, base=0.05, factor=2, jitter=0))
    def fail() -> None:
        times.append(mill.client.link.run(mill.client.scripts.server_time()))
        raise Refused

    with running_fleet(mill):
        job = fail.enqueue()
        with pytest.raises(JobFailed, match="Refused"):
            job.result(timeout=20)
    assert (job.state, job.attempt) == ("dead", 4)
    for delay_ms, (earlier, later) in zip((50, 100, 200), pairwise(times), strict=True):
        assert later - earlier >= delay_ms


def test_an_attempt_that_succeeds_ends_the_series(mill: Tidemill) -> None:
    @mill.task(retry=Retry(max_attempts=5, base=0.01))
    def third_time_lucky() -> int:
        attempt = current_job().attempt
        if attempt < 3:
            raise Refused
        return attempt

    with running_fleet(mill):
        job = third_time_lucky.enqueue()
        assert job.result(timeout=10) == 3
    assert job.error is None


@pytest.mark.parametrize(
    ("policy", "attempts"),
    [
        (Retry(max_attempts=3, base=0.01, retry_on=(OSError,)), 1),
        (Retry(max_attempts=3, base=0.01, retry_on=(Refused,)), 3),
        (Retry(max_attempts=3, base=0.01, dont_retry_on=(Refused,)), 1),
        (Retry(max_attempts=3, base=0.01, dont_retry_on=(OSError,)), 3),
    ],
)
def test_only_the_chosen_errors_are_retried(mill: Tidemill, policy: Retry, attempts: int) -> None:
    @mill.task(retry=policy)
    def fail() -> None:
        raise Refused

    with running_fleet(mill):
        job = fail.enqueue()
        with pytest.raises(JobFailed):
            job.result(timeout=10)
    assert job.attempt == attempts


@pytest.mark.interrupts
def test_a_job_may_bring_a_policy_and_a_timeout_of_its_own(mill: Tidemill) -> None:
    @mill.task(timeout=60, retry=Retry(max_attempts=9, dont_retry_on=(Refused,)))
    def fail(how: str) -> None:
        if how == "slow":
            while True:
                threading.Event().wait(0.005)
        raise Refused if how == "refused" else ValueError

    policy = Retry(max_attempts=2, base=0.01)
    with running_fleet(mill):
        slow = fail.using(retry=policy, timeout=0.05).enqueue("slow")
        with pytest.raises(JobFailed, match=r"timeout of 0\.05 s"):
            slow.result(timeout=10)
        failed = fail.using(retry=policy).enqueue("wrong")
        with pytest.raises(JobFailed, match="ValueError"):
            failed.result(timeout=10)
        refused = fail.using(retry=policy).enqueue("refused")  # the classes stay with the task
        with pytest.raises(JobFailed, match="Refused"):
            refused.result(timeout=10)
    assert (slow.attempt, failed.attempt, refused.attempt) == (2, 2, 1)


def test_a_dead_letter_that_is_retried_by_hand_has_all_its_attempts_again(mill: Tidemill) -> None:
    healed = threading.Event()

    @mill.task(retry=Retry(max_attempts=2, base=0.01))
    def fail_at_first() -> str:
        if not healed.is_set():
            raise Refused
        return "done"

    with running_fleet(mill):
        job = fail_at_first.enqueue()
        with pytest.raises(JobFailed):
            job.result(timeout=10)
        job.retry()
        with pytest.raises(JobFailed):
            job.result(timeout=10)
        assert job.attempt == 2
        healed.set()
        assert job.retry().result(timeout=10) == "done"


@pytest.mark.parametrize("big", [True, False])
def test_a_result_that_can_not_be_carried_is_a_dead_letter_at_once(mill: Tidemill, big: bool) -> None:
    runs: list[int] = []

    @mill.task(retry=Retry(max_attempts=5, base=0.01))
    def plain() -> object:
        runs.append(1)
        return bytes(300_000) if big else object()

    @mill.task(retry=Retry(max_attempts=5, base=0.01))
    async def awaited() -> object:
        return plain()

    expected = "PayloadTooLarge: result is 293.0 KiB" if big else "UnserializableValue: result"
    with running_worker(mill):
        for task in (plain, awaited):
            with pytest.raises(JobFailed, match=expected):
                task.enqueue().result(timeout=10)
        assert len(runs) == 2


def test_a_long_error_is_cut_in_its_middle(mill: Tidemill) -> None:
    @mill.task()
    def fail() -> None:
        raise Refused("a" * 5_000 + "\udc80" + "z" * 5_000)

    with running_worker(mill), pytest.raises(JobFailed) as caught:
        fail.enqueue().result(timeout=10)
    message = caught.value.error_message
    assert len(message) < settings.MAX_ERROR_CHARS + 100
    assert message.startswith("aaa")
    assert "characters left out" in message
    assert message.endswith("zzz")


def test_a_traceback_shows_the_users_frames_and_not_the_workers(mill: Tidemill) -> None:
    @mill.task()
    async def outer() -> None:
        try:
            raise Refused("first")
        except Refused as error:
            raise ValueError("second") from error

    with running_worker(mill), pytest.raises(JobFailed) as caught:
        outer.enqueue().result(timeout=10)
    assert "in outer" in caught.value.traceback
    assert "Refused: first" in caught.value.traceback
    assert "tidemill_consumers" not in caught.value.traceback
