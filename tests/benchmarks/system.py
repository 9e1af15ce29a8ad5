"""What every measured system offers, so that all are driven by the same program.

A system is a module, in `systems/` (ours) or `peers/`, that is imported by the producer and by the worker alike.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

URL_VARIABLE: Final = "BENCH_URL"
# The peers' payload: an int and a string of 64 bytes.
TEXT: Final = "x" * 64
OURS: Final = {
    "thread": "benchmarks.systems.on_threads",
    "async": "benchmarks.systems.on_a_loop",
    "process": "benchmarks.systems.in_processes",
    "tracing": "benchmarks.systems.with_tracing",
    "stages": "benchmarks.systems.in_stages",
    "as_template": "benchmarks.systems.as_template",
    "as_flat_template": "benchmarks.systems.as_flat_template",
    "as_small": "benchmarks.systems.as_small",
    "as_whole": "benchmarks.systems.as_whole",
    "as_zstd": "benchmarks.systems.as_zstd",
    "as_zstd_dictionary": "benchmarks.systems.as_zstd_dictionary",
}
PEERS: Final = {
    "rq": "benchmarks.peers.on_rq",
    "dramatiq": "benchmarks.peers.on_dramatiq",
    "huey": "benchmarks.peers.on_huey",
    "taskiq": "benchmarks.peers.on_taskiq",
}


class System(Protocol):
    """enqueue_many: None where there is no such call; then `enqueue` is called for each."""

    @property
    def enqueue(self) -> Callable[[int], object]: ...
    @property
    def enqueue_many(self) -> Callable[[Sequence[int]], object] | None: ...
    @property
    def worker(self) -> Callable[[], list[str]]: ...


def load(name: str) -> System:
    """The system of this name. Raises ImportError when a peer is not installed."""
    return cast("System", importlib.import_module({**OURS, **PEERS}[name]))


def is_installed(name: str) -> bool:
    """Whether this peer is: it is part of the extra `bench`."""
    return importlib.util.find_spec(name) is not None


def server_url() -> str:
    return os.environ[URL_VARIABLE]
