"""The arguments of the templates' measurement: 2 KiB that all jobs share, and a number and a SKU of each its own.

What is shared looks like the settings of a job of this kind: names that repeat, identifiers that do not, and two dozen
lists and maps, of which each job gets its own copies.
"""

from __future__ import annotations

import importlib
from functools import cache
from random import Random
from typing import Any, Final, cast

from tidemill.wire.envelope import Codec

SHARED_BYTES: Final = 2048
WAREHOUSES: Final = 16
# So many bodies does a dictionary learn from; it gets the size that zstd's manual recommends at most for small data.
SAMPLES: Final = 400
DICTIONARY_BYTES: Final = 8192
# zstd's own default.
LEVEL: Final = 3

Arguments = dict[str, Any]


def _packed(arguments: Arguments) -> bytes:
    return Codec().encode_call((), arguments)


@cache
def shared(seed: int = 0) -> Arguments:
    """The defaults: just SHARED_BYTES as they are packed."""
    random = Random(seed)
    found: Arguments = {
        "warehouses": [
            {
                "id": f"wh-{random.randrange(16**8):08x}",
                "region": random.choice(["eu-central-1", "eu-west-1", "us-east-1"]),
                "priority": random.randrange(1, 100),
                "threshold": random.randrange(1000) / 10,
            }
            for _ in range(WAREHOUSES)
        ],
        "headers": {"Accept": "application/json", "Authorization": f"Bearer {random.randrange(16**48):048x}"},
        "endpoint": "https://stock.example.com/v2/items/preheat",
        "deadline_ms": 30_000,
        "notify": [f"{random.choice(['ops', 'stock', 'buying'])}-{n}@example.com" for n in range(6)],
        "is_dry_run": False,
        "note": "",
    }
    # A text of more than 255 bytes takes two more bytes for its length.
    left = SHARED_BYTES - len(_packed(found)) - 2
    words = ("keep", "stock", "levels", "above", "the", "threshold", "of", "each", "warehouse", "until", "noon")
    text = " ".join(random.choice(words) for _ in range(left))
    found["note"] = text[:left]
    return found


@cache
def flat() -> Arguments:
    """As many bytes of texts: nothing that a job could change."""
    found = {f"text_{place}": "" for place in range(8)}
    left = SHARED_BYTES - len(_packed(found)) - 2 * len(found)
    return {name: "x" * (left // len(found)) for name in found}


def own(number: int) -> Arguments:
    """What is different in each job."""
    return {"number": number, "sku": f"SKU-{number * 7919 % 100_000_000:08d}"}


def whole(number: int) -> Arguments:
    """All arguments of a job."""
    return {**shared(), **own(number)}


def zstd() -> Any:
    """The module, of the extra `bench`: type checkers need not know it."""
    return importlib.import_module("zstandard")


def trained() -> object:
    """A dictionary for these jobs, made of others of the kind."""
    samples = [_packed({**shared(), **own(-number)}) for number in range(1, SAMPLES)]
    return zstd().train_dictionary(DICTIONARY_BYTES, samples)


class Compression:
    """Arguments as compressed bytes, and back: without a dictionary, or with one. For one thread."""

    def __init__(self, dictionary: object | None = None) -> None:
        self._codec = Codec()
        self._compressor = zstd().ZstdCompressor(level=LEVEL, dict_data=dictionary)
        self._decompressor = zstd().ZstdDecompressor(dict_data=dictionary)

    def encode(self, number: int) -> bytes:
        return cast("bytes", self._compressor.compress(self._codec.encode_call((), whole(number))))

    def decode(self, body: bytes) -> Arguments:
        return self._codec.decode_call(self._decompressor.decompress(body))[1]
