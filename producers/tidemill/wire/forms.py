"""What is packed as one: a job's arguments, a result, an internal map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from tidemill.wire.bounds import MAX_DEPTH_LEVELS


@dataclass(frozen=True, slots=True)
class Form:
    """What is packed as one: how errors name it and its parts, and how many levels it may have."""

    noun: str
    verb: str
    max_levels: int
    parts: Callable[[object], Iterable[tuple[str, object]]]


def _parts_of_call(call: object) -> Iterator[tuple[str, object]]:
    args, kwargs = cast("tuple[list[object], dict[object, object]]", call)
    for index, value in enumerate(args):
        yield f"args[{index}]", value
    for name, value in kwargs.items():
        yield "kwargs.keys()", name
        yield str(name), value


# [args, kwargs] adds two levels to those of the arguments themselves.
CALL = Form("arguments", "are", MAX_DEPTH_LEVELS + 2, _parts_of_call)
RESULT = Form("result", "is", MAX_DEPTH_LEVELS, lambda value: [("result", value)])
MAP = Form("map", "is", MAX_DEPTH_LEVELS, lambda value: [("map", value)])
