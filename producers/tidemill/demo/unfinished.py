"""A demo that is under way, as a file: one that was killed is gone on with by the next, and not begun anew.

All else is where it is safe anyway: the jobs in Redis, under ids that follow from the run's; what the catalog was told,
in its journal. So going on is doing all of it again: what is there already is found there.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tidemill import settings
from tidemill.ids import new_id
from tidemill.wire.scripts import QueueFigures

FILE_NAME: Final = "run.json"
# Finished jobs are dropped after this: an older demo would only be begun again, job by job.
_MAX_AGE_SECONDS: Final = settings.RESULT_TTL_MS / 1000 / 2


@dataclass(frozen=True, slots=True)
class Counters:
    """What a queue has counted since it exists; on a server of yours, earlier demos have counted too."""

    over: int
    dead: int
    retried: int

    @classmethod
    def of(cls, figures: QueueFigures) -> Counters:
        succeeded, dead, retried = (int(figures.counters.get(name, 0)) for name in ("succeeded", "dead", "retried"))
        return cls(succeeded + dead, dead, retried)


@dataclass(frozen=True, slots=True)
class Run:
    """`server`: which one it runs on, "" for the embedded one. `files` and `folders`: the counters at its beginning."""

    id: str
    root: str
    server: str
    names: list[str]
    began_at: float
    files: Counters
    folders: Counters

    def job_id(self, what: str) -> str:
        return f"demo-{self.id}.{what}"


def find(place: Path, root: Path, names: list[str], server: str) -> Run | None:
    """The demo of these files that was killed; None: there is none, or it is too old, or was one of other files."""
    try:
        found = json.loads((place / FILE_NAME).read_text(encoding="utf-8"))
        files, folders = Counters(**found.pop("files")), Counters(**found.pop("folders"))
        run = Run(**found, files=files, folders=folders)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # none, or of another version
    is_young = 0 <= time.time() - run.began_at < _MAX_AGE_SECONDS
    return run if is_young and (run.root, run.names, run.server) == (str(root), names, server) else None


def begin(place: Path, root: Path, names: list[str], server: str, files: Counters, folders: Counters) -> Run:
    run = Run(new_id(), str(root), server, names, time.time(), files, folders)
    written = place / f"{FILE_NAME}.new"
    written.write_text(json.dumps(asdict(run)), encoding="utf-8")
    written.replace(place / FILE_NAME)  # whole or not at all
    return run


def forget(place: Path) -> None:
    with suppress(FileNotFoundError):
        (place / FILE_NAME).unlink()
