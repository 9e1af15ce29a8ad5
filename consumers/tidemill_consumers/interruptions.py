"""Stops runs from outside: those that are cancelled, those whose timeout is over, and all when the worker stops."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from tidemill import telemetry
from tidemill.errors import JobCancelled
from tidemill.telemetry import Event
from tidemill_consumers import pipeline, settings
from tidemill_consumers.executors import Executor
from tidemill_consumers.outcomes import Outcome, Released
from tidemill_consumers.run import Interrupt, Run
from tidemill_consumers.runs import Runs
from tidemill_consumers.templates.templates import Templates


class Interruptions:
    """Calls come from any thread. `executors` are filled in before the first."""

    def __init__(
        self,
        runs: Runs,
        executors: Mapping[str, Executor],
        templates: Templates,
        finished: Callable[[Run, Outcome], None],
    ) -> None:
        self._runs = runs
        self._executors = executors
        self._templates = templates
        self._finished = finished

    def cancel(self, ids: Collection[str]) -> None:
        """Stops the runs of these jobs."""
        for run in self._runs.all():
            if run.taken.id in ids:
                self._interrupt(run, Interrupt.CANCEL)

    def time_out(self, run: Run) -> None:
        """Its timeout is over."""
        if self._interrupt(run, Interrupt.TIMEOUT):
            taken, timeout_s = run.taken, (run.timeout_ms or 0) / 1000
            telemetry.event(
                Event.JOB_TIMED_OUT,
                job_id=taken.id,
                task=taken.task,
                queue=taken.queue,
                attempt=taken.tries,
                timeout_s=timeout_s,
            )

    def void(self, incarnation: str) -> None:
        """Its lease is lost: what runs goes on, but its outcome is not accepted any more."""
        runs = self._runs.all()
        telemetry.event(Event.LEASE_LOST, worker=incarnation, running=len(runs))
        for run in runs:
            if run.context is not None:
                run.context.request_stop()

    def hand_back_waiting(self, executors: Iterable[str]) -> int:
        """What these executors have not started. Returns how many."""
        return sum(self._hand_back(self._executors[name].withdraw()) for name in executors)

    def hand_back_unresolved(self) -> int:
        """What has waited for its template for so long that another worker may hold it. Returns how many."""
        return self._hand_back(self._templates.withdraw_late())

    def hand_back_all_waiting(self) -> int:
        """What no executor has started."""
        unstarted = self._runs.withdraw() + self._templates.withdraw()
        return self._hand_back(unstarted) + self.hand_back_waiting(self._executors)

    def hand_back_running(self) -> int:
        """Interrupts what still runs; what does not notice is handed back all the same, since this process ends."""
        running = [run for run in self._runs.all() if not run.is_over]
        for run in running:
            self._interrupt(run, Interrupt.RELEASE)
        self._runs.wait_until_none(settings.INTERRUPT_SECONDS)
        self._hand_back(self._runs.all())
        return len(running)

    def _hand_back(self, runs: Collection[Run]) -> int:
        for run in runs:
            self._finished(run, Released())
        return len(runs)

    def _interrupt(self, run: Run, why: Interrupt) -> bool:
        if not run.stop(why):
            return False
        if self._runs.withdraw_suspect(run) or self._templates.withdraw_run(run):
            self._finished(run, pipeline.classify(run, JobCancelled()))
        else:
            self._executors[run.definition.executor].interrupt(run, why)
        return True
