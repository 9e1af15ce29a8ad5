"""Recorded accesses of real programs, which others published: what is in a directory of them, and how to read it.

| directory | from |
| --- | --- |
| `lirs` | Jiang, Zhang: LIRS, SIGMETRICS 2002: code search, compilers, joins, a file server, synthetic ones |
| `cache2k` | the benchmarks of cache2k: a web site's pages |
| `arc` | Megiddo, Modha: ARC, FAST 2003: a bank's database (OLTP) |
"""

from __future__ import annotations

import gzip
import importlib
import lzma
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Recording:
    """`sizes`: of the caches that are compared."""

    name: str
    file: str
    sizes: tuple[int, ...]

    def read(self, directory: Path) -> list[int]:
        """The keys, numbered from 0 in the order of their first use. Raises ImportError for `.zst` if zstandard is not
        there."""
        data = _plain(directory / self.file)
        numbers: dict[int, int] = {}
        return [numbers.setdefault(key, len(numbers)) for key in _FORMATS[self.file.partition("/")[0]](data)]


def _plain(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".xz":
        return lzma.decompress(data)
    # By name, since type checkers are to pass without it.
    zstandard: Any = importlib.import_module("zstandard")
    found: bytes = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return found


def _a_number_a_line(data: bytes) -> list[int]:
    return [int(line) for line in data.split() if line != b"*"]


def _big_endian_words(data: bytes) -> list[int]:
    return [word for (word,) in struct.iter_unpack(">I", data)]


def _first_and_count(data: bytes) -> list[int]:
    found: list[int] = []
    for line in data.splitlines():
        first, count = map(int, line.split()[:2])
        found += range(first, first + count)
    return found


_FORMATS: Final[dict[str, Callable[[bytes], list[int]]]] = {
    "lirs": _a_number_a_line,
    "cache2k": _big_endian_words,
    "arc": _first_and_count,
}

RECORDINGS: Final = (
    *(
        Recording(name, f"lirs/{name}.trace.gz", sizes)
        for name, sizes in {
            "gli": (500, 1000, 2000),
            "cs": (100, 400, 1000),
            "cpp": (20, 100, 500),
            "ps": (100, 500, 1500),
            "multi1": (200, 600, 1400),
            "multi2": (600, 1800, 3000),
            "2_pools": (100, 250, 450),
            "sprite": (200, 600, 1000),
            "loop": (256, 512, 768),
            "scan": (500, 1000, 1800),
            "zigzag": (500, 1000, 1800),
            "backf": (100, 300, 600),
        }.items()
    ),
    Recording("web07", "cache2k/web07.trace.xz", (75, 300, 1200)),
    Recording("oltp", "arc/OLTP.lis.zst", (1000, 2000, 5000)),
)
