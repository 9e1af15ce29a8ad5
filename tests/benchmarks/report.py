"""The report of a run: a table for a terminal, the same for a page, and JSON."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figure import Failure, Figure, Plot, Result

BEGIN: Final = "<!-- figures: begin (written by --markdown) -->"
END: Final = "<!-- figures: end -->"
HEADINGS: Final = ("figure", "ours", "goal", "limit", "ratio", "peers", "met?")
# Which heading of the page says what stands in the way of a goal, by a part of the figure's name: the first that fits.
REASONS: Final = (
    ("import", "Imports and idle processes"),
    ("memory", "Memory"),
    ("one by one", "Enqueue one by one"),
    ("enqueue_many", "enqueue_many"),
    ("drain", "Drain"),
    ("start latency", "Start latency"),
    ("23,000 jobs/s", "23,000 jobs a second"),
    ("at 23,000/s", "23,000 jobs a second"),
    ("lateness", "Delayed jobs"),
    ("early", "Delayed jobs"),
    (" delayed", "Growth"),
    ("tracing", "Tracing"),
    ("idle", "Imports and idle processes"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, where, and what was said on the way."""

    figures: Sequence[Figure]
    plots: Sequence[Plot]
    failures: Sequence[Failure]
    place: Mapping[str, object]
    remarks: Sequence[str]
    seconds: Mapping[str, float]

    @classmethod
    def of(cls, bench: Bench, results: Sequence[Result]) -> Report:
        return cls(
            [result for result in results if isinstance(result, Figure)],
            [result for result in results if isinstance(result, Plot)],
            [result for result in results if isinstance(result, Failure)],
            _place(bench),
            list(bench.messages),
            dict(bench.seconds),
        )

    def rows(self) -> list[tuple[str, ...]]:
        rows = [_row(figure) for figure in self.figures]
        return rows + [(failure.name, "failed", "", "", "", "", "no") for failure in self.failures]

    def table(self) -> str:
        """For a terminal: columns of equal width, then notes and remarks."""
        rows = [HEADINGS, *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], "", *self.notes(), self.summary()])

    def markdown(self) -> str:
        """The same as a table of a page."""
        rows = [(*row[:-1], _linked(row[0], row[-1])) for row in self.rows()]
        lines = [_line(HEADINGS), _line(["---"] * len(HEADINGS)), *map(_line, rows)]
        notes = [f"- {note}" for note in self.notes()]
        return "\n".join([self.summary(), "", *lines, "", *notes])

    def notes(self) -> list[str]:
        notes = [f"{figure.name}: {figure.note}" for figure in self.figures if figure.note]
        return [*notes, *(f"{failure.name} failed: {failure.reason}" for failure in self.failures), self.duration()]

    def duration(self) -> str:
        """Of the run, and of each measurement in it."""
        each = ", ".join(f"{name} {seconds:.0f}" for name, seconds in self.seconds.items())
        return f"the run took {sum(self.seconds.values()):.0f} s: {each or 'nothing'}"

    def summary(self) -> str:
        """Where and when this was measured, and how many goals are met."""
        judged = [figure.is_met for figure in self.figures if figure.goals]
        place = ", ".join(str(value) for value in self.place.values())
        return f"{place[:1].upper()}{place[1:]}. {judged.count(True)} of {len(judged)} figures with a goal meet it."

    def json(self) -> str:
        return json.dumps(
            {
                "place": dict(self.place),
                "figures": [{**asdict(one), "ratio": one.ratio, "is_met": one.is_met} for one in self.figures],
                "plots": [asdict(one) for one in self.plots],
                "failures": [asdict(one) for one in self.failures],
                "remarks": list(self.remarks),
                "seconds": dict(self.seconds),
            },
            indent=1,
        )

    def replace_in(self, page: Path) -> None:
        """Writes the table between the marks of a page. Raises ValueError when it has none."""
        text = page.read_text(encoding="utf-8")
        before, begin, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise ValueError(f"{page} has no line {BEGIN!r} followed by {END!r}")
        page.write_text(f"{before}{BEGIN}\n\n{self.markdown()}\n\n{END}{after}", encoding="utf-8")


def _row(figure: Figure) -> tuple[str, ...]:
    met = {True: "yes", False: "NO", None: ""}[figure.is_met]
    return (
        figure.name,
        f"{number(figure.ours)} {figure.unit}",
        ", ".join(goal.text for goal in figure.goals),
        "" if figure.limit is None else number(figure.limit),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        ", ".join(f"{name} {number(value)}" for name, value in figure.peers.items()),
        met,
    )


def anchor(heading: str) -> str:
    """Of a heading in a page, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _linked(name: str, met: str) -> str:
    """A goal that is missed leads to the reason."""
    reasons = [heading for part, heading in REASONS if part in name]
    return f"[{met}](#{anchor(reasons[0])})" if met == "NO" and reasons else met


def number(value: float) -> str:
    """Three digits that say something, and no more."""
    if abs(value) >= 999.5:
        return f"{round(value, 2 - len(str(int(abs(value)))) + 1):,.0f}"
    return f"{value:.3g}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell or ' ' for cell in cells)} |"


def _place(bench: Bench) -> dict[str, object]:
    return {
        "kind": "a quick run, whose figures say little" if bench.is_quick else "a full run",
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpus": f"{os.cpu_count()} CPUs",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "server": bench.flavour,
    }
