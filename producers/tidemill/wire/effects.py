"""The commands of a running job that makes an effect: see `tidemill.once`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tidemill.wire.command import Argument, Command, call
from tidemill.wire.replies import text
from tidemill.wire.script import load
from tidemill.wire.shard import Shard


class Claim(NamedTuple):
    """Who makes an effect: the current attempt of a job, and in it one call, which may be sent more than once."""

    job_id: str
    incarnation: str
    attempt: int
    call: str


class Marked(NamedTuple):
    """`code`: see the script's header. `detail`: a result, a job's id or the server's error; `number`: of a command."""

    code: str
    detail: bytes = b""
    number: int = 0


class Effecting(Shard):
    """`digest`: of the effect's key, see `Keys.digest`. `ttl_ms`: how long its marker is kept from now on."""

    def apply_effect(
        self, claim: Claim, digest: str, ttl_ms: int, commands: Sequence[Sequence[Argument]]
    ) -> Command[Marked]:
        """Codes made, done, unknown, busy, fenced, refused."""
        arguments: list[Argument] = [*claim, ttl_ms]
        for words in commands:
            arguments += [len(words), *words]
        return call(load("apply_effect"), self._places(claim, digest), tuple(arguments), _marked)

    def begin_effect(self, claim: Claim, digest: str, ttl_ms: int) -> Command[Marked]:
        """Codes new, done, unknown, busy, fenced."""
        return call(load("begin_effect"), self._places(claim, digest), (*claim, ttl_ms), _marked)

    def end_effect(self, claim: Claim, digest: str, ttl_ms: int, result: bytes | None) -> Command[int]:
        """`result` None: it has not happened. 1: recorded; 0: fenced, or taken over by another attempt."""
        how = ("undone", b"") if result is None else ("done", result)
        return call(load("end_effect"), self._places(claim, digest), (*claim, ttl_ms, *how), int)

    def _places(self, claim: Claim, digest: str) -> tuple[str, str]:
        return self.keys.job(claim.job_id), self.keys.once(digest)


def _marked(reply: Any) -> Marked:
    match reply:
        case [code, int(number), bytes(error)]:
            return Marked(text(code), error, number)
        case [code, bytes(detail)]:
            return Marked(text(code), detail)
        case _:
            return Marked(text(reply[0]))
