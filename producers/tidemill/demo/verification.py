"""The same files read once more without any queue: what the fleet's answers are held against."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tidemill.demo import source


@dataclass
class Truth:
    """`sha256` of each file that `ast.parse` accepts; `refused` are the others."""

    sha256: dict[str, str] = field(default_factory=dict[str, str])
    refused: set[str] = field(default_factory=set[str])


def verify(root: Path, names: Iterable[str], check: Callable[[], None]) -> Truth:
    """Takes some seconds of one CPU for a whole standard library; `check` is called before each file, and may raise."""
    truth = Truth()
    for name in names:
        check()
        try:
            content = (root / name).read_bytes()
            source.parse(content, name)
        except Exception:  # noqa: BLE001 - whatever ends a job ends here
            truth.refused.add(name)
        else:
            truth.sha256[name] = hashlib.sha256(content).hexdigest()
    return truth
