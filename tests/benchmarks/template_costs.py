"""CPU time of what templates and their rivals do for a job: python -m benchmarks.template_costs; prints JSON of µs.

Of one process and without a server, so that each figure stands for one step alone.
"""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable
from time import process_time
from typing import Any, Final, TypedDict

import pydantic

from benchmarks.arithmetic import NS_PER_SECOND
from benchmarks.shared_defaults import Compression, own, shared, whole
from tidemill.templates.schema import Schema, compile_form
from tidemill.wire.envelope import Codec
from tidemill_consumers.templates.version import make_bind

# The best of several rounds of so many calls: what disturbs a round makes it slower, never faster.
CALLS: Final = 2_000
ROUNDS: Final = 7
US_PER_SECOND: Final = NS_PER_SECOND // 1000


class Flat(TypedDict):
    """Ten fields."""

    sku: str
    warehouse: str
    quantity: int
    price: float
    is_dry_run: bool
    note: str | None
    priority: int
    region: str
    weight: float
    attempts: int


class FlatModel(pydantic.BaseModel):
    """The same."""

    sku: str
    warehouse: str
    quantity: int
    price: float
    is_dry_run: bool
    note: str | None
    priority: int
    region: str
    weight: float
    attempts: int


FLAT: Final[dict[str, Any]] = {
    "sku": "A1",
    "warehouse": "w-7",
    "quantity": 3,
    "price": 1.5,
    "is_dry_run": False,
    "note": None,
    "priority": 1,
    "region": "eu",
    "weight": 2.25,
    "attempts": 0,
}


def us(call: Callable[[], object]) -> float:
    """µs of CPU that one call takes."""
    return min(timeit.repeat(call, number=CALLS, repeat=ROUNDS, timer=process_time)) * US_PER_SECOND / CALLS


def steps() -> dict[str, Callable[[], object]]:
    codec, plain, trained = Codec(), Compression(with_dictionary=False), Compression(with_dictionary=True)
    bodies = {"own": codec.encode_call((), own(1)), "whole": codec.encode_call((), whole(1))}
    packed = {"zstd": plain.encode(1), "zstd with a dictionary": trained.encode(1)}
    checker, model, bind = compile_form(Schema(Flat).form), Schema(FlatModel), make_bind(shared(), [])
    return {
        "encode own": lambda: codec.encode_call((), own(1)),
        "encode whole": lambda: codec.encode_call((), whole(1)),
        "encode zstd": lambda: plain.encode(1),
        "encode zstd with a dictionary": lambda: trained.encode(1),
        "decode own": lambda: codec.decode_call(bodies["own"]),
        "decode own, and bind": lambda: bind(codec.decode_call(bodies["own"])[1]),
        "decode whole": lambda: codec.decode_call(bodies["whole"]),
        "decode zstd": lambda: plain.decode(packed["zstd"]),
        "decode zstd with a dictionary": lambda: trained.decode(packed["zstd with a dictionary"]),
        "check ten fields": lambda: checker.check(FLAT),
        "check ten fields, model's validators too": lambda: model.check(FLAT),
        "pydantic, ten fields": lambda: FlatModel.model_validate(FLAT),
    }


def main() -> None:
    print(json.dumps({name: us(step) for name, step in steps().items()}))


if __name__ == "__main__":
    main()
