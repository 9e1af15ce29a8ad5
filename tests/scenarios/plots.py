"""Draws what a scenario has seen. Needs matplotlib, which is in the extra `bench`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from scenarios.scenario import Result


def draw(result: Result, path: Path) -> None:
    """A panel below the other, over the same seconds."""
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(
        len(result.panels), sharex=True, squeeze=False, figsize=(8, 2.6 * len(result.panels))
    )
    for axis, panel in zip(axes[:, 0], result.panels, strict=True):
        for name, points in panel.lines.items():
            axis.plot([x for x, _ in points], [y for _, y in points], label=name, linewidth=1.2)
        axis.set_ylabel(panel.y)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend(loc="upper right")
    axes[-1, 0].set_xlabel("seconds")
    axes[0, 0].set_title(result.title)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
