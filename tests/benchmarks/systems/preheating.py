"""The application of the templates' measurement: one job, sent in five ways."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

from benchmarks import shared_defaults
from benchmarks.recorder import note
from tidemill import Call, Tidemill

mill = Tidemill()


@mill.task(name="bench.preheat")
def preheat(number: int, sku: str, **settings: object) -> None:
    note(number)


@mill.task(name="bench.small")
def small(number: int, sku: str) -> None:
    note(number)


trained = cache(shared_defaults.trained)
_own = threading.local()


def compression(with_dictionary: bool) -> shared_defaults.Compression:
    """One for each thread: zstandard's objects must not be used by two at once, which ends the process."""
    name = f"compression_{with_dictionary}"
    found: shared_defaults.Compression | None = getattr(_own, name, None)
    if found is None:
        found = shared_defaults.Compression(trained() if with_dictionary else None)
        setattr(_own, name, found)
    return found


@mill.task(name="bench.compressed")
def compressed(body: bytes, with_dictionary: bool) -> None:
    """What a wrapper does for a task whose arguments are compressed."""
    arguments = compression(with_dictionary).decode(body)
    note(arguments.pop("number"))


template = mill.template("bench-preheat", task=preheat, defaults=shared_defaults.shared())
flat_template = mill.template("bench-preheat-flat", task=preheat, defaults=shared_defaults.flat())

Sender = Callable[[list[Call]], object]


def _sender(send: Sender, arguments: Callable[[int], Mapping[str, object]]) -> Callable[[Sequence[int]], object]:
    return lambda numbers: send([Call((), dict(arguments(number))) for number in numbers])


def _compressed(with_dictionary: bool) -> Callable[[int], Mapping[str, object]]:
    return lambda number: {"body": compression(with_dictionary).encode(number), "with_dictionary": with_dictionary}


as_template = _sender(template.enqueue_many, shared_defaults.own)
as_flat_template = _sender(flat_template.enqueue_many, shared_defaults.own)
as_small = _sender(small.enqueue_many, shared_defaults.own)
as_whole = _sender(preheat.enqueue_many, shared_defaults.whole)
as_zstd = _sender(compressed.enqueue_many, _compressed(False))
as_zstd_dictionary = _sender(compressed.enqueue_many, _compressed(True))

worker = partial(list[str], [sys.executable, "-m", "tidemill", "worker", f"{__name__}:mill"])
