"""Runs the demo: enqueues, waits, and collects what the report is made of.

Each job has an id that follows from the run's, so a demo that is gone on with enqueues all of them again, and is given
those that are there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeVar

from tidemill import Job
from tidemill.demo import app, files
from tidemill.demo.app import SAMPLES, Depths, Folder, Index, Module
from tidemill.demo.catalog import Catalog
from tidemill.demo.following import Follower
from tidemill.demo.unfinished import Run
from tidemill.task import Task

T = TypeVar("T")

# One file in this many is delayed, so that the wheel has something to hold.
_DELAYED_ONE_IN: Final = 4
# Delayed files come in at most this many waves, of at least so many files, one wave after the other: of a standard
# library about 75 files a second, well under what two CPUs index.
_MAX_WAVES: Final = 50
_LEAST_WAVE_FILES: Final = 8
_WAVE_EVERY_SECONDS: Final = 0.12
_FIRST_WAVE_SECONDS: Final = 1.0
# Jobs enqueued one after the other when the fleet is idle, to see how soon it begins.
_IDLE_JOBS: Final = 100
# Samples that are read at most: a demo that runs for longer has other troubles.
_MAX_SAMPLES: Final = 10_000


@dataclass(slots=True)
class Collected:
    """What came of it. `seconds` is from the first enqueue to the merged index."""

    names: list[str]
    states: dict[str, str] = field(default_factory=dict[str, str])
    index: Index = field(default_factory=Index)
    folder_files: dict[str, int] = field(default_factory=dict[str, int])
    folders: dict[str, Folder] = field(default_factory=dict[str, Folder])
    announced: dict[str, str] = field(default_factory=dict[str, str])
    refused_announcements: int = 0
    recovered: int = 0
    start_latency_ms: list[float] = field(default_factory=list[float])
    lateness_ms: list[float] = field(default_factory=list[float])
    idle_latency_ms: list[float] = field(default_factory=list[float])
    samples: list[Depths] = field(default_factory=list[Depths])
    seconds: float = 0.0


def collect(run: Run, follower: Follower, catalog: Catalog) -> Collected:
    """The whole demo, on a fleet that is starting. Raises what `Follower.until` raises, and TidemillError."""
    folders = files.by_folder(run.names)
    collected = Collected(run.names, folder_files={folder: len(found) for folder, found in folders.items()})
    follower.until("the workers to start", follower.workers_are_up)
    began = time.monotonic()
    jobs = asyncio.run(_enqueue_files(run))
    fingerprints = {
        folder: app.fingerprint.using(job_id=run.job_id(f"folder-{number}")).enqueue(
            run.root, folder, found, str(catalog.address)
        )
        for number, (folder, found) in enumerate(folders.items())
    }
    follower.progress.say(f"enqueued {len(jobs):,} files in {len(folders):,} folders")
    follower.until("the files", lambda: follower.files_over() >= len(jobs) and _are_over(jobs))
    merge = app.merge.using(job_id=run.job_id("merge"))
    collected.index = follower.result(merge.enqueue({name: job.id for name, job in jobs.items()}))
    collected.seconds = time.monotonic() - began
    follower.until("the folders", lambda: follower.folders_over() > 2 * len(folders) and _are_over(fingerprints))
    follower.progress.clear()
    _read_files(jobs, collected)
    _read_folders(fingerprints, follower, collected)
    collected.announced = catalog.announced
    collected.samples = _samples(since_ms=min(job.record.created_ms for job in jobs.values()))
    collected.idle_latency_ms = [_idle_latency_ms(follower) for _ in range(_IDLE_JOBS)]
    return collected


async def _enqueue_files(run: Run) -> dict[str, Job[Module]]:
    numbers = {name: number for number, name in enumerate(run.names)}

    async def enqueue(index: Task[[str, str], Module], names: Sequence[str]) -> list[Job[Module]]:
        tasks = [(index.using(job_id=run.job_id(f"file-{numbers[name]}")), name) for name in names]
        return await asyncio.gather(*(task.aenqueue(run.root, name) for task, name in tasks))

    delayed = run.names[::_DELAYED_ONE_IN]
    at_once = sorted(set(run.names) - set(delayed))
    jobs = dict(zip(at_once, await enqueue(app.index, at_once), strict=True))
    wave_files = max(_LEAST_WAVE_FILES, -(-len(delayed) // _MAX_WAVES))
    for wave, start in enumerate(range(0, len(delayed), wave_files)):
        due = delayed[start : start + wave_files]
        # When a delayed file's time has come, it goes before those that wait since the start.
        later = app.index.using(delay=_FIRST_WAVE_SECONDS + wave * _WAVE_EVERY_SECONDS, priority="high")
        jobs |= zip(due, await enqueue(later, due), strict=True)
    await app.mill.aclose()
    return jobs


def _are_over(jobs: Mapping[str, Job[T]]) -> bool:
    return all(job.state.is_over or job.refresh().state.is_over for job in jobs.values())


def _read_files(jobs: dict[str, Job[Module]], collected: Collected) -> None:
    for name, job in jobs.items():
        record = job.refresh().record
        collected.states[name] = str(job.state)
        collected.recovered += record.crashes
        if job.attempt > 1 or record.crashes:  # its start is not the first one
            continue
        if record.due_ms:
            collected.lateness_ms.append(record.started_ms - record.due_ms)
        else:
            collected.start_latency_ms.append(record.started_ms - record.created_ms)


def _read_folders(fingerprints: dict[str, Job[Folder]], follower: Follower, collected: Collected) -> None:
    for folder, job in fingerprints.items():
        collected.folders[folder] = follower.result(job)
        announcement = app.mill.job(app.announcement_id(job.id))
        follower.result(announcement)
        collected.refused_announcements += announcement.attempt - 1
        collected.recovered += job.record.crashes + announcement.record.crashes


def _samples(since_ms: int) -> list[Depths]:
    jobs = app.mill.inspect.jobs(SAMPLES, "succeeded", limit=_MAX_SAMPLES)
    return [job.result(timeout=0) for job in jobs if job.record.created_ms >= since_ms]


def _idle_latency_ms(follower: Follower) -> float:
    """From `enqueue(...)` to the task's first line, both on this machine's clock."""
    began = datetime.now(UTC)
    depths = follower.prompt_result(app.sample.enqueue())
    return (depths.at - began).total_seconds() * 1000
