"""`once(key)`: effects that happen once, although the job that makes them may run again.

A job runs again when its worker died, however much of it was done. What it has done to the world is then safe in one of
three ways; which one depends on where the effect is.

*In the same Redis*: `once(key).execute(...)`. The effect and a marker that it has happened are one script on the
server. A crash at any moment leaves both or none, they are saved and replicated together, and an attempt that was given
up (its worker was paused for longer than its lease) is refused. So the effect happens once.

*In a database of yours*: a unique key in the effect's own transaction does the same; docs/effects.md has the pattern.

*Anywhere else* (a call to another service): `with once(key) as effect`. No transaction spans two systems, so a worker
that dies between the call and the note that it was made leaves a question, and nobody can promise "once" from this side
alone. The guard turns that into three answers: the effect is new; it is done, and here is its result; or it is unknown.
What to do about the third is the caller's: ask the other side, or call it again with the same key, if it drops repeated
keys (Stripe's idempotency keys: https://docs.stripe.com/api/idempotent_requests). What the guard does promise: nothing
that was recorded is made again, no beginning is forgotten, and only the current attempt can record an end.

A paused attempt that has begun already can't be held back from calling: when it wakes, it calls, and only then learns
that it is stale. Against that the key, or `current_job().fence`, has to reach the other side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal

from tidemill import settings, validation
from tidemill.context import CurrentJob, current_job
from tidemill.errors import EffectUnknown, InvalidInput, StaleAttempt, TidemillError
from tidemill.ids import new_id
from tidemill.options import Duration
from tidemill.wire.command import Argument
from tidemill.wire.scripts import Claim, Marked

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

# A day longer than a dead letter waits: one that is run again by hand finds what its earlier attempts have done.
DEFAULT_TTL_SECONDS: Final = settings.DEAD_TTL_MS / 1000 + 86_400
# One effect's commands run as one script, during which the server serves nobody else.
MAX_COMMANDS: Final = 100
MAX_WORDS: Final = 5_000

EffectState = Literal["new", "done", "unknown"]


def once(key: str, *, ttl: Duration = DEFAULT_TTL_SECONDS) -> Once:
    """An effect of the running job that is to happen once in `ttl`, whichever jobs and attempts try to make it.

    key: names the effect, as "charge order 17"; all tasks of an application share the names. 1 to 4096 characters.
    ttl: how long its marker is kept since it was last written, a timedelta or seconds; by default 31 days. It must be
        longer than a job that makes the effect may wait for its last attempt, retries by hand included. A marker takes
        some 200 bytes of the server's memory, and what its result takes.

    Raises RuntimeError outside a job, where no fence says whose effect counts, and InvalidInput.
    """
    job = current_job()
    if job.client is None:
        raise RuntimeError("once() needs the worker's client, and the executor that runs this job has not set it")
    return Once(_key(key), validation.duration_ms("ttl", ttl, zero=False), job, job.client)


@dataclass(frozen=True, slots=True)
class _Marker:
    """The marker of an effect, and one call that writes it."""

    client: Client
    claim: Claim
    key: str
    ttl_ms: int

    @property
    def digest(self) -> str:
        return self.client.scripts.keys.digest("", self.key)

    def apply(self, commands: list[list[Argument]]) -> Operation[bool]:
        found: Marked = yield self.client.scripts.apply_effect(self.claim, self.digest, self.ttl_ms, commands)
        match found.code:
            case "made":
                return True
            case "done":
                return False
            case "refused":
                before = found.number - 1
                happened = f"the {before} before it stay applied" if before else "nothing has happened"
                reason = found.detail.decode(errors="replace")
                raise TidemillError(f"effect {self.key!r}: {commands[before][0]!r} was refused, {happened}: {reason}")
            case _:
                raise self._refusal(found)

    def begin(self) -> Operation[Effect]:
        found: Marked = yield self.client.scripts.begin_effect(self.claim, self.digest, self.ttl_ms)
        match found.code:
            case "new":
                return Effect(self, "new")
            case "unknown":
                return Effect(self, "unknown")
            case "done":
                return Effect(self, "done", self.client.codec.decode_result(found.detail))
            case _:
                raise self._refusal(found)

    def end(self, result: bytes | None) -> Operation[None]:
        recorded: int = yield self.client.scripts.end_effect(self.claim, self.digest, self.ttl_ms, result)
        if not recorded:
            raise self._stale()

    def _refusal(self, found: Marked) -> TidemillError:
        match found.code:
            case "fenced":
                return self._stale()
            case "busy":
                holder = found.detail.decode(errors="replace")
                return EffectUnknown(f"effect {self.key!r}: job {holder} has begun it, and still runs; try again later")
            case _:
                return EffectUnknown(
                    f"effect {self.key!r} was begun, and no end was recorded: look whether it has happened, "
                    "and say so with effect.done() or effect.not_done() in `with once(...)`"
                )

    def _stale(self) -> StaleAttempt:
        return StaleAttempt(
            f"effect {self.key!r}: attempt {self.claim.attempt} of job {self.claim.job_id} is not the current one any "
            "more; the job was recovered, and runs or ran elsewhere"
        )


class Effect:
    """An effect outside of Redis.

    state: "new": nobody has begun it; "done"; "unknown": it was begun, and no end was recorded.
    key: to be handed to the other side, so that it can drop, or find, what it was told before.
    result: what `done` was given by whoever made the effect; None while it is not done.
    """

    def __init__(self, marker: _Marker, state: EffectState, result: Any = None) -> None:
        self.key: Final = marker.key
        self.state: EffectState = state
        self.result: Any = result
        self._marker = marker
        self._is_open = state != "done"

    def done(self, result: object = None) -> None:
        """Records that the effect has happened, and its result: anything that a task can return.

        Raises StaleAttempt: another attempt has taken over, and decides; what this one did stays unrecorded.
        """
        self._marker.client.run(self._done(result))

    async def adone(self, result: object = None) -> None:
        """`done` for async code."""
        await self._marker.client.arun(self._done(result))

    def not_done(self) -> None:
        """Records that the effect has certainly not happened (it was refused, or never sent): it is new again.

        Raises StaleAttempt.
        """
        self._marker.client.run(self._end(None))

    async def anot_done(self) -> None:
        """`not_done` for async code."""
        await self._marker.client.arun(self._end(None))

    def check_is_over(self) -> None:
        """Raises RuntimeError while nobody has said what came of the effect."""
        if self._is_open:
            raise RuntimeError(f"the block of once({self.key!r}) ended without effect.done() or effect.not_done()")

    def _done(self, result: object) -> Operation[None]:
        yield from self._end(self._marker.client.codec.encode_result(result))
        self.state, self.result = "done", result

    def _end(self, result: bytes | None) -> Operation[None]:
        if not self._is_open:
            raise InvalidInput(f"what came of the effect {self.key!r} was recorded before")
        yield from self._marker.end(result)
        self._is_open = False


class Once:
    """What `once` returns: `execute` for effects in the same Redis, `with` or `async with` for effects elsewhere."""

    def __init__(self, key: str, ttl_ms: int, job: CurrentJob, client: Client) -> None:
        self._key = key
        self._ttl_ms = ttl_ms
        self._job = job
        self._client = client
        self._effects: list[Effect] = []  # of the blocks that it was entered for

    def execute(self, *commands: Sequence[Argument]) -> bool:
        """Runs commands and sets the marker, as one script: True if this call did it, False if it was done before.

            once(f"sold {order}").execute(["INCRBY", "sold", 3], ["SADD", "orders", order])

        The keys stand as they are, without the application's prefix; on a cluster they must lie in its slot, as
        `{0}:sold`. Redis does not roll back: when it refuses a command (a key of a wrong type, say), those before it
        stay applied. That raises TidemillError, and later attempts get EffectUnknown; if it was the first command,
        nothing has happened. Raises StaleAttempt, EffectUnknown, InvalidInput, QueueFull when the server's memory is
        full (nothing has happened), ServerUnavailable (the next attempt finds out).
        """
        return self._client.run(self._marker().apply(_commands(commands)))

    async def aexecute(self, *commands: Sequence[Argument]) -> bool:
        """`execute` for async code."""
        return await self._client.arun(self._marker().apply(_commands(commands)))

    def __enter__(self) -> Effect:
        self._effects.append(self._client.run(self._marker().begin()))
        return self._effects[-1]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        effect = self._effects.pop()
        if error is None:
            effect.check_is_over()

    async def __aenter__(self) -> Effect:
        self._effects.append(await self._client.arun(self._marker().begin()))
        return self._effects[-1]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _marker(self) -> _Marker:
        fence = self._job.fence
        return _Marker(
            self._client, Claim(self._job.id, fence.incarnation, fence.attempt, new_id()), self._key, self._ttl_ms
        )


def _key(key: object) -> str:
    if isinstance(key, str) and 0 < len(key) <= validation.MAX_UNIQUE_CHARS:
        return key
    raise InvalidInput(f"the key of an effect must be a text of 1 to {validation.MAX_UNIQUE_CHARS} characters")


def _commands(commands: Sequence[Sequence[Argument]]) -> list[list[Argument]]:
    checked = [_words(command) for command in commands]
    if not 0 < len(checked) <= MAX_COMMANDS or sum(map(len, checked)) > MAX_WORDS:
        raise InvalidInput(f"an effect has 1 to {MAX_COMMANDS} commands of at most {MAX_WORDS} words in all")
    return checked


def _words(command: object) -> list[Argument]:
    if not isinstance(command, (list, tuple)) or not command:
        raise InvalidInput(f'a command must be a list of words, as ["INCRBY", "sold", 3], not {command!r}')
    words: list[Argument] = []
    for word in command:  # pyright: ignore[reportUnknownVariableType] - of whatever a caller passed
        if isinstance(word, bool) or not isinstance(word, (str, bytes, int, float)):
            raise InvalidInput(f"a command's words must be str, bytes or numbers, not {word!r}")
        words.append(word)
    return words
