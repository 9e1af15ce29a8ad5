"""The example application: an index of Python files.

    each file     index (a process)
    each folder   fingerprint (a thread) ──▶ announce (on the loop; tried again until the catalog is open)
    each second   sample (on the loop)
    at the end    merge (a thread)

Its workers run with `tidemill worker tidemill.demo.app:mill`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tidemill import JobFailed, Retry, Tidemill, current_job
from tidemill.demo import source

FILES, FOLDERS, SAMPLES = "demo.files", "demo.folders", "demo.samples"

mill = Tidemill(max_payload_bytes=4 * 1024 * 1024)  # `merge` is given the names of all files


@dataclass(frozen=True)
class Module:
    name: str
    lines: int
    size_bytes: int
    sha256: str
    measures: source.Measures


@dataclass(frozen=True)
class Folder:
    files: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Depths:
    at: datetime
    wheel: int
    stream: int
    running: int


@dataclass
class Index:
    modules: list[Module] = field(default_factory=list[Module])
    refused: dict[str, str] = field(default_factory=dict[str, str])


@mill.task(queue=FILES, executor="process", timeout=60, retry=Retry(max_attempts=3, base=0.2, retry_on=(OSError,)))
def index(root: str, name: str) -> Module:
    """Parses and measures a file. One that does not parse raises SyntaxError or ValueError: never tried again."""
    content = Path(root, name).read_bytes()
    measures = source.measure(source.parse(content, name))
    return Module(name, source.line_count(content), len(content), hashlib.sha256(content).hexdigest(), measures)


@mill.task(queue=FOLDERS, executor="thread", retry=Retry(max_attempts=3, base=0.2))
def fingerprint(root: str, folder: str, names: list[str], catalog: str) -> Folder:
    """Hashes the files of a folder, and announces the result to the catalog, whose port stands in a file."""
    digest, size_bytes = hashlib.sha256(), 0
    for name in names:
        content = Path(root, name).read_bytes()
        digest.update(hashlib.sha256(content).digest())
        size_bytes += len(content)
    # The id follows from this job's: should its worker die here, the next attempt finds the announcement there.
    announce.using(job_id=announcement_id(current_job().id)).enqueue(folder, digest.hexdigest(), catalog)
    return Folder(len(names), size_bytes, digest.hexdigest())


def announcement_id(fingerprint_id: str) -> str:
    return f"{fingerprint_id}.announce"


@mill.task(queue=FOLDERS, timeout=10, retry=Retry(max_attempts=20, base=0.25, cap=2, retry_on=(OSError,)))
async def announce(folder: str, sha256: str, catalog: str) -> str:
    """Tells the catalog; while it refuses connections, this is tried again, later each time. Returns its receipt."""
    reader, writer = await asyncio.open_connection("127.0.0.1", _port(catalog))
    try:
        writer.write(json.dumps([folder, sha256]).encode() + b"\n")
        receipt = await reader.readline()
    finally:
        writer.close()
    if not receipt:
        raise ConnectionError("the catalog hung up without a receipt")
    return receipt.decode().strip()


def _port(catalog: str) -> int:
    return int(Path(catalog).read_text(encoding="ascii"))


@mill.task(queue=SAMPLES)
async def sample() -> Depths:
    """How many jobs there are now, and where."""
    at = datetime.now(UTC)
    files, folders = await mill.inspect.aqueue(FILES), await mill.inspect.aqueue(FOLDERS)
    return Depths(
        at, files.scheduled + folders.scheduled, files.waiting + folders.waiting, files.running + folders.running
    )


every_second = mill.every(timedelta(seconds=1), sample, name="demo-sample")


@mill.task(queue=FOLDERS, executor="thread", retry=Retry(max_attempts=3, base=0.2))
def merge(jobs: dict[str, str]) -> Index:
    """The results of `index`, given the job of each file; a dead letter adds why it is one."""
    merged = Index()
    for count, (name, job_id) in enumerate(jobs.items(), 1):
        try:
            merged.modules.append(mill.job(job_id).result(timeout=0))
        except JobFailed as failure:
            merged.refused[name] = f"{failure.error_type}: {failure.error_message}"
        if count % 100 == 0:
            current_job().progress(count / len(jobs), name)
    return merged
