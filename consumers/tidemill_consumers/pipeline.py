"""Running a job, step by step: verify, resolve, decode, call, encode, classify. Executors decide where; the steps are
the same.

`admit` verifies and resolves what came from the server, `resolve` needs no user code. `call_sync` and `call_async` run
in the thread, coroutine or process of the job.
`classify` turns what was raised into an outcome.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Mapping
from contextvars import copy_context
from dataclasses import replace
from typing import Final, Protocol, cast

from tidemill import telemetry
from tidemill.client import Client
from tidemill.context import CURRENT, CurrentJob
from tidemill.errors import BreakerOpen, CorruptRecord, InvalidInput, RemoteError
from tidemill.names import type_name
from tidemill.task import Definition
from tidemill.telemetry import Event, ParkReason
from tidemill.templates.reference import is_template
from tidemill.wire.envelope import Codec
from tidemill.wire.scripts import Taken
from tidemill.wire.signing import Refusal, Signable, Signing, is_signed
from tidemill_consumers import decisions, guards, settings, terms
from tidemill_consumers.outcomes import Cancelled, Dead, Outcome, Parked, Released, Succeeded
from tidemill_consumers.run import Interrupt, Run
from tidemill_consumers.templates.version import Mismatch

_NOTHING: Final = Succeeded(b"")


class Templates(Protocol):
    """Those that this worker holds."""

    def resolve(self, taken: Taken, definition: Definition) -> Run | Outcome: ...


def admit(
    taken: Taken, tasks: Mapping[str, Definition], signing: Signing | None, templates: Templates | None = None
) -> Run | Outcome:
    """Verifies a job before anything of it is decoded, then resolves it. Children get what was verified, and no keys.

    A worker without keys can't tell a good signature from a bad one, so it leaves signed jobs to those that have them.
    """
    if signing is None:
        if is_signed(taken.body):
            return parked(taken, "it is signed, and this worker has no keys", "no_keys")
        return resolve(taken, tasks, templates)
    payload = signing.verify(Signable(taken.queue, taken.task, taken.id, taken.options), taken.body)
    if isinstance(payload, Refusal):
        return refused(taken, payload)
    return resolve(replace(taken, body=payload), tasks, templates)


def refused(taken: Taken, refusal: Refusal) -> Dead:
    """A dead letter that keeps its bytes; none of them is logged."""
    telemetry.job_refused(taken.queue, refusal.why)
    telemetry.event(
        Event.JOB_REFUSED,
        job_id=taken.id,
        task=taken.task,
        queue=taken.queue,
        attempt=taken.tries,
        reason=refusal.why,
    )
    return Dead(RemoteError("InvalidSignature", refusal.text), "signature")


def resolve(taken: Taken, tasks: Mapping[str, Definition], templates: Templates | None = None) -> Run | Outcome:
    """Finds the task and the options of a job; an outcome at once if it can't be run here.

    templates: None where there are none: a child gets jobs whose arguments are complete.
    """
    definition = tasks.get(taken.task)
    if definition is None:
        if not taken.task:
            return corrupt("it names no task")
        return parked(taken, f"no worker of this queue knows task {taken.task!r}")
    if not taken.options:
        return Run(taken, definition, definition.retry, definition.timeout_ms, definition.critical)
    if templates is not None and is_template(taken.options):
        return templates.resolve(taken, definition)
    try:
        return Run(taken, definition, *terms.changed(terms.terms_of(definition), terms.read(taken.options)))
    except CorruptRecord as error:
        return corrupt(f"its options can't be read: {error}")


def parked(taken: Taken, reason: str, label: ParkReason = "unknown_task") -> Parked:
    """This worker can't run the job now. Each offer that was declined raised `uncounted`, so the delay doubles: a fleet
    in mid-deploy settles soon, and one that stays broken costs little."""
    doublings = min(max(taken.uncounted, 0), 16)
    return Parked(reason, min(settings.PARK_CAP_MS, settings.PARK_BASE_MS * 2**doublings), label)


def corrupt(what: str) -> Dead:
    return Dead(RemoteError("CorruptRecord", f"the record is not one that Tidemill wrote: {what}"), "corrupt")


def call_sync(run: Run, context: CurrentJob, client: Client) -> Succeeded | Dead | Parked:
    """Calls a plain function in this thread. What it raises is the caller's to classify.

    In a context of its own: a variable that a job sets is not seen by the next one on this thread.
    """
    return copy_context().run(_call_sync, run, context, client)


def arguments_of(run: Run, codec: Codec) -> tuple[list[object], dict[str, object]]:
    """What its function is called with. Raises CorruptRecord, Mismatch, and what an upcaster of its template raises."""
    arguments, keywords = codec.decode_call(run.taken.body)
    return arguments, keywords if run.bind is None else run.bind(keywords)


def complete(run: Run, codec: Codec) -> Taken:
    """The job as it would be without a template: for a process that has none. Raises as `arguments_of`, and
    InvalidInput for what can't be carried."""
    if run.bind is None:
        return run.taken
    arguments, keywords = arguments_of(run, codec)
    options = terms.pack(terms.Terms(run.retry, run.timeout_ms, run.critical))
    return replace(run.taken, body=codec.encode_call(tuple(arguments), keywords), options=options)


def _call_sync(run: Run, context: CurrentJob, client: Client) -> Succeeded | Dead | Parked:
    arguments, keywords = client.codec.decode_call(run.taken.body)
    if run.bind is not None:
        keywords = run.bind(keywords)
    context.client = client
    CURRENT.set(context)
    with processing(run) as span:
        if run.guard is not None and (held := run.guard.enter(run)) is not None:
            span.outcome("parked")
            return held
        function = run.definition.function
        if run.taken.error:  # an attempt before this one has failed
            found = decisions.at_start(run)
            if isinstance(found, Dead):
                return _ended(span, found)
            function = found
        try:
            value = function(*arguments, **keywords)
        except Exception as error:
            fallback = decisions.instead(run, error)
            if fallback is None:
                raise
            value = fallback(*arguments, **keywords)
        return _encoded(span, client.codec, value)


async def call_async(run: Run, context: CurrentJob, client: Client) -> Succeeded | Dead | Parked:
    """Awaits a coroutine function in this task, whose context is its own."""
    arguments, keywords = client.codec.decode_call(run.taken.body)
    if run.bind is not None:
        keywords = run.bind(keywords)
    context.client = client
    CURRENT.set(context)
    with processing(run) as span:
        if run.guard is not None and (held := await run.guard.aenter(run)) is not None:
            span.outcome("parked")
            return held
        function = run.definition.function
        if run.taken.error:  # an attempt before this one has failed
            found = decisions.at_start(run)
            if isinstance(found, Dead):
                return _ended(span, found)
            function = found
        try:
            value = await cast(Awaitable[object], function(*arguments, **keywords))
        except Exception as error:
            fallback = decisions.instead(run, error)
            if fallback is None:
                raise
            value = await cast(Awaitable[object], fallback(*arguments, **keywords))
        return _encoded(span, client.codec, value)


def processing(run: Run) -> telemetry.Processing:
    taken = run.taken
    return telemetry.process(taken.queue, taken.task, taken.id, taken.tries, taken.trace, taken.incarnation)


def _ended(span: telemetry.Processing, end: Dead) -> Dead:
    span.outcome("dead", end.error.type)
    return end


def _encoded(span: telemetry.Processing, codec: Codec, value: object) -> Succeeded | Dead:
    """The job's end: with a result that can't be carried, another attempt would only do the work again."""
    try:
        result = _NOTHING if value is None else Succeeded(codec.encode_result(value))
    except InvalidInput as error:
        span.outcome("dead", type(error).__name__)
        return Dead(describe(error), "result")
    span.outcome("succeeded")
    return result


def classify(run: Run, error: BaseException) -> Outcome:
    """What comes of a run that raised. An interrupt counts for more than the exception that it caused."""
    match run.interrupt:
        case Interrupt.CANCEL:
            return Cancelled()
        case Interrupt.RELEASE:
            return Released()
        case Interrupt.TIMEOUT:
            return timed_out(run)
        case None:
            return _raised(run, error)


def _raised(run: Run, error: BaseException) -> Outcome:
    if isinstance(error, CorruptRecord):
        return corrupt(str(error))
    if isinstance(error, Mismatch):
        return Dead(RemoteError("InvalidArguments", str(error)), "arguments")
    if decisions.is_held_up(run, error):
        assert isinstance(error, BreakerOpen)
        return guards.parked(error, error.retry_after)
    try:
        if run.fallback_reason:  # it is the fallback that raised
            return Dead(describe(error), "fallback")
        return decisions.outcome(run, decisions.after_error(run, error), describe(error))
    except Exception as broken:  # noqa: BLE001 - a user's exception class can be as broken as it likes
        text = f"and it can't be described: {type_name(type(broken))}"
        return Dead(RemoteError(type_name(type(error)), text), "final")


def timed_out(run: Run) -> Outcome:
    seconds = (run.timeout_ms or 0) / 1000
    error = RemoteError("TimeoutError", f"the attempt ran longer than its timeout of {seconds:g} s")
    return decisions.outcome(run, decisions.after_error(run, TimeoutError(), "timeout"), error)


def child_died(run: Run, how: str) -> Outcome:
    error = RemoteError("ChildDied", f"the child process that ran the job {how}")
    return decisions.outcome(run, decisions.after_death(run), error)


def describe(error: BaseException) -> RemoteError:
    """What is recorded of an exception: text, bounded, without the frames of the worker itself."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__", "").startswith("tidemill_consumers"):
        frames = frames.tb_next
    trace = "".join(traceback.format_exception(type(error), error, frames))
    return RemoteError(type_name(type(error)), _text(error), _cut(trace, settings.MAX_TRACEBACK_CHARS))


def _text(error: BaseException) -> str:
    try:
        return _cut(str(error), settings.MAX_ERROR_CHARS)
    except BaseException as broken:  # noqa: BLE001 - user classes may raise anything in __str__
        return f"(its text can't be had: {type(broken).__name__})"


def _cut(text: str, most: int) -> str:
    text = text.encode(errors="backslashreplace").decode()
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - most} characters left out …\n{text[-half:]}"
