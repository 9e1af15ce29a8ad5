"""What is printed at the end, and whether it adds up."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from typing import Final

from tidemill.demo.app import Module
from tidemill.demo.run import Collected
from tidemill.demo.verification import Truth

_MOST_COMPLEX: Final = 10
# An error's text is cut here in the table; the dead letter has all of it.
_REASON_CHARS: Final = 90


@dataclass(frozen=True, slots=True)
class Percentiles:
    """By nearest rank, in ms; 0 of nothing."""

    count: int
    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Percentiles:
        ordered = sorted(values)
        ranks = [ordered[math.ceil(len(ordered) * part) - 1] if ordered else 0.0 for part in (0.5, 0.99)]
        return cls(len(ordered), round(ranks[0], 2), round(ranks[1], 2))


@dataclass(frozen=True, slots=True)
class Totals:
    lines: int
    size_bytes: int
    functions: int
    classes: int
    docstrings: int
    complexity: int

    @classmethod
    def of(cls, modules: Sequence[Module]) -> Totals:
        return cls(
            lines=sum(module.lines for module in modules),
            size_bytes=sum(module.size_bytes for module in modules),
            functions=sum(module.measures.functions for module in modules),
            classes=sum(module.measures.classes for module in modules),
            docstrings=sum(module.measures.docstrings for module in modules),
            complexity=sum(module.measures.complexity for module in modules),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """The figures. `checks` says of each thing that must hold whether it does."""

    python: str
    root: str
    found: int
    succeeded: int
    dead_lettered: int
    totals: Totals
    most_complex: list[Module]
    dead_letters: dict[str, str]
    seconds: float
    whole_seconds: float
    files_per_second: float
    workers: int
    worker_restarts: int
    recovered: int
    folders: int
    refused_announcements: int
    samples: int
    deepest_wheel: int
    deepest_stream: int
    start_latency: Percentiles
    idle_start_latency: Percentiles
    lateness: Percentiles
    checks: dict[str, bool]

    @property
    def adds_up(self) -> bool:
        return all(self.checks.values())

    def as_data(self) -> dict[str, object]:
        """For JSON."""
        return {**asdict(self), "adds_up": self.adds_up}


def make(
    root: Path, collected: Collected, truth: Truth, *, workers: int, worker_restarts: int, whole_seconds: float
) -> Report:
    """Everything in it is counted from what the jobs returned, and from their records."""
    modules = collected.index.modules
    states = list(collected.states.values())
    return Report(
        python=platform.python_version(),
        root=str(root),
        found=len(collected.names),
        succeeded=states.count("succeeded"),
        dead_lettered=states.count("dead"),
        totals=Totals.of(modules),
        most_complex=sorted(modules, key=lambda module: (-module.measures.complexity, module.name))[:_MOST_COMPLEX],
        dead_letters=dict(sorted(collected.index.refused.items())),
        seconds=round(collected.seconds, 2),
        whole_seconds=round(whole_seconds, 2),
        files_per_second=round(len(collected.names) / collected.seconds, 1) if collected.seconds else 0.0,
        workers=workers,
        worker_restarts=worker_restarts,
        recovered=collected.recovered,
        folders=len(collected.folders),
        refused_announcements=collected.refused_announcements,
        samples=len(collected.samples),
        deepest_wheel=max((sample.wheel for sample in collected.samples), default=0),
        deepest_stream=max((sample.stream for sample in collected.samples), default=0),
        start_latency=Percentiles.of(collected.start_latency_ms),
        idle_start_latency=Percentiles.of(collected.idle_latency_ms),
        lateness=Percentiles.of(collected.lateness_ms),
        checks=_checks(collected, truth),
    )


def _checks(collected: Collected, truth: Truth) -> dict[str, bool]:
    states, modules, folders = collected.states, collected.index.modules, collected.folders
    dead = {name for name, state in states.items() if state == "dead"}
    succeeded = {name for name, state in states.items() if state == "succeeded"}
    return {
        "files found = succeeded + dead-lettered": len(collected.names) == len(succeeded) + len(dead),
        "the dead letters are exactly the files that ast.parse refuses": dead == truth.refused,
        "the merged index has each file once": sorted(module.name for module in modules) == sorted(succeeded)
        and collected.index.refused.keys() == dead,
        "each file's SHA-256 is that of the file": {module.name: module.sha256 for module in modules} == truth.sha256,
        "the folders have all the files": {name: folder.files for name, folder in folders.items()}
        == collected.folder_files,
        "the catalog knows each folder's SHA-256": {name: folder.sha256 for name, folder in folders.items()}
        == collected.announced,
        "no delayed job began early": min(collected.lateness_ms, default=0) >= 0,
    }


def text(report: Report) -> str:
    """For people."""
    sections = (_summary(report), _modules(report), _dead_letters(report), _speed(report), _verdict(report))
    return "\n\n".join("\n".join(section) for section in sections)


def _summary(report: Report) -> list[str]:
    totals = report.totals
    average = totals.complexity / totals.functions if totals.functions else 0.0
    return [
        f"An index of {report.root} (Python {report.python})",
        "",
        f"  files       {report.found:,} found = {report.succeeded:,} indexed + {report.dead_lettered:,} dead-lettered",
        f"  source      {totals.lines:,} lines, {totals.size_bytes / 1e6:.1f} MB",
        f"  contents    {totals.functions:,} functions, {totals.classes:,} classes, {totals.docstrings:,} docstrings",
        f"  complexity  {totals.complexity:,} in all, {average:.2f} a function",
    ]


def _modules(report: Report) -> list[str]:
    width = max((len(module.name) for module in report.most_complex), default=0)
    lines = [f"The {len(report.most_complex)} most complex modules"]
    for module in report.most_complex:
        measures = module.measures
        lines.append(
            f"  {measures.complexity:>6,}  {module.name:<{width}}  {measures.functions:>5,} functions,"
            f" the hardest {measures.hardest} ({measures.hardest_complexity})"
        )
    return lines


def _dead_letters(report: Report) -> list[str]:
    if not report.dead_letters:
        return ["Dead letters: none, since every file parses"]
    width = max(map(len, report.dead_letters))
    return [
        "Dead letters",
        *(
            f"  {name:<{width}}  {shorten(reason, _REASON_CHARS, placeholder=' …')}"
            for name, reason in report.dead_letters.items()
        ),
    ]


def _speed(report: Report) -> list[str]:
    def row(what: str, times: Percentiles, of: str) -> str:
        return f"  {what:<16}p50 {times.p50_ms:>9,.1f} ms   p99 {times.p99_ms:>9,.1f} ms   {of}"

    start, idle, late = report.start_latency, report.idle_start_latency, report.lateness
    return [
        f"Done in {report.seconds:.1f} s by a scheduler and {report.workers} workers: "
        f"{report.files_per_second:,.0f} files/s "
        f"({report.whole_seconds:.1f} s with starting, stopping and checking)",
        row(
            "start latency", idle, f"of {idle.count:,} jobs one after the other, from enqueue to the task's first line"
        ),
        row("  in a backlog", start, f"of {start.count:,} files enqueued at once, till a worker took them"),
        row("lateness", late, f"of {late.count:,} delayed files, from their due time till a worker took them"),
        f"  retries         {report.refused_announcements:,} refused connections of {report.folders:,} announcements,"
        " which all got through",
        f"  every second    {report.samples:,} samples; deepest: wheel {report.deepest_wheel:,},"
        f" stream {report.deepest_stream:,}",
        f"  crashes         {report.worker_restarts:,} processes started again, {report.recovered:,} jobs recovered",
    ]


def _verdict(report: Report) -> list[str]:
    if report.adds_up:
        return [f"It adds up: {len(report.checks)} of {len(report.checks)} checks hold."]
    return ["It does NOT add up:", *(f"  {name}" for name, holds in report.checks.items() if not holds)]
