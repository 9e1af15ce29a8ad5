"""Makes dead letters as workers make them: taken and buried, each with an error and a time of its own."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill import RemoteError, Tidemill, call
from tidemill.wire import record

WORKER = "a-worker"
# A chunk of `enqueue_many`, and what one `take` and one `bury` deal with.
CHUNK = 200


def make_letters(
    mill: Tidemill,
    count: int,
    *,
    error: RemoteError | None = None,
    queue: str = "default",
    task: str = "a.task",
    unique: str | None = None,
    died_ms: int | None = None,
) -> list[str]:
    """Their ids. died_ms: when they died, by default now."""
    scripts, link = mill.client.scripts, mill.client.link
    named = mill.named(task).using(queue=queue)
    if unique is not None:
        named = named.using(unique=unique)
    ids = [job.id for job in named.enqueue_many([call(number) for number in range(count)])]
    link.run(scripts.register(WORKER, 60_000, [queue], {}, {"pid": "1"}))
    packed = record.write_error(error or RemoteError("ValueError", "no such picture", "a traceback"))
    for _ in range(0, count, CHUNK):
        takings = link.run(scripts.take(WORKER, [queue], CHUNK))
        assert takings is not None
        rows = [(taken.id, taken.entry, taken.attempt, packed) for taken in takings.jobs]
        codes = link.run(scripts.bury(WORKER, queue, "normal", rows, now_ms="" if died_ms is None else died_ms))
        assert codes == [1] * len(rows)
    return ids


def kill_again(mill: Tidemill, ids: Sequence[str], queue: str = "default") -> None:
    """They are taken and buried once more."""
    scripts, link = mill.client.scripts, mill.client.link
    link.run(scripts.register(WORKER, 60_000, [queue], {}, {"pid": "1"}))
    takings = link.run(scripts.take(WORKER, [queue], len(ids)))
    assert takings is not None
    assert {taken.id for taken in takings.jobs} == set(ids)
    packed = record.write_error(RemoteError("ValueError", "again", ""))
    rows = [(taken.id, taken.entry, taken.attempt, packed) for taken in takings.jobs]
    assert link.run(scripts.bury(WORKER, queue, "normal", rows)) == [1] * len(rows)


def leave(mill: Tidemill, queue: str = "default") -> None:
    """The worker is gone, so that nothing of it is left for the doctor to find."""
    mill.client.link.run(mill.client.scripts.retire(WORKER, [queue], if_over=False))
