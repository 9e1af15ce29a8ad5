"""Limited tasks, for worker processes of tests."""

from __future__ import annotations

from pathlib import Path

from conditions import eventually
from tidemill import Tidemill

mill = Tidemill()


@mill.task(concurrency=1)
def hold(journal: str, release: str) -> None:
    """Notes that it has begun, and runs until the file `release` is there."""
    with Path(journal).open("a", encoding="utf-8") as file:
        file.write("begun\n")
    eventually(Path(release).exists, "it is released", 60)
