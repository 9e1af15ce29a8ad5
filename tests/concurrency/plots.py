"""Draws limit and goodput over the time of a scenario, as PNG. Needs matplotlib: it is part of the extra `bench`."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from concurrency.model import History
from concurrency.scenarios import Scenario

INCHES: Final = (7.0, 5.0)
DOTS_PER_INCH: Final = 90


def file_name(scenario: Scenario) -> str:
    """Of its plot."""
    return f"concurrency-{scenario.name.replace(' ', '-')}.png"


def draw(scenario: Scenario, histories: Mapping[str, History], directory: Path) -> None:
    """Writes the plot of one history for each name. Raises ImportError without matplotlib."""
    # By name, since type checkers are to pass without the extra.
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    figure, (limits, goodput) = pyplot.subplots(2, 1, figsize=INCHES, layout="constrained", sharex=True)
    for name, history in histories.items():
        points = [*history.limits, (scenario.seconds, history.limits[-1][1])]
        limits.step(*zip(*points, strict=True), where="post", label=name)
        done = Counter(int(when) for when, _, _ in history.done)
        seconds = range(int(scenario.seconds))
        goodput.plot(seconds, [done[second] for second in seconds], label=name)
    limits.set(title=f"{scenario.name}: {scenario.about}", ylabel="limit", yscale="log")
    goodput.set(xlabel="seconds", ylabel="jobs done a second", ylim=(0, None))
    for axes in (limits, goodput):
        axes.grid(visible=True, which="both", alpha=0.3)
    limits.legend()
    directory.mkdir(parents=True, exist_ok=True)
    figure.savefig(directory / file_name(scenario), dpi=DOTS_PER_INCH)
    pyplot.close(figure)
