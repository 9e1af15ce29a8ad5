"""The application of the templates' measurement: one job, sent in five ways."""

from __future__ import annotations

import sys
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


@cache
def compression(with_dictionary: bool) -> shared_defaults.Compression:
    return shared_defaults.Compression(with_dictionary=with_dictionary)


@mill.task(name="bench.compressed")
def compressed(body: bytes, with_dictionary: bool) -> None:
    """What a wrapper does for a task whose arguments are compressed."""
    arguments = compression(with_dictionary).decode(body)
    note(arguments.pop("number"))


template = mill.template("bench-preheat", task=preheat, defaults=shared_defaults.shared())

Sender = Callable[[list[Call]], object]


def _sender(send: Sender, arguments: Callable[[int], Mapping[str, object]]) -> Callable[[Sequence[int]], object]:
    return lambda numbers: send([Call((), dict(arguments(number))) for number in numbers])


def _compressed(with_dictionary: bool) -> Callable[[int], Mapping[str, object]]:
    return lambda number: {"body": compression(with_dictionary).encode(number), "with_dictionary": with_dictionary}


as_template = _sender(template.enqueue_many, shared_defaults.own)
as_small = _sender(small.enqueue_many, shared_defaults.own)
as_whole = _sender(preheat.enqueue_many, shared_defaults.whole)
as_zstd = _sender(compressed.enqueue_many, _compressed(False))
as_zstd_dictionary = _sender(compressed.enqueue_many, _compressed(True))

worker = partial(list[str], [sys.executable, "-m", "tidemill", "worker", f"{__name__}:mill"])
