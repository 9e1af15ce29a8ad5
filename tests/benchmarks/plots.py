"""Draws the plots of a run, as PNG. Needs matplotlib: it is part of the extra `bench`."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.figure import Plot, Result

INCHES = (7.0, 4.0)
DOTS_PER_INCH = 90


def draw(results: Iterable[Result], directory: Path) -> None:
    """Writes `<name>.png` for each plot. Raises ImportError without matplotlib."""
    # By name, since type checkers are to pass without the extra.
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    directory.mkdir(parents=True, exist_ok=True)
    for plot in results:
        if isinstance(plot, Plot) and any(plot.lines.values()):
            _draw(pyplot, plot, directory / f"{plot.name}.png")


def _draw(pyplot: Any, plot: Plot, path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=INCHES, layout="constrained")
    for name, points in plot.lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y, xscale="log", yscale="log")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=DOTS_PER_INCH)
    pyplot.close(figure)
