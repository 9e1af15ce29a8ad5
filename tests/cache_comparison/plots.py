"""Draws hit ratio over size, several traces in a picture, as PNG. Needs matplotlib: it is part of the extra `bench`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cache_comparison.comparison import Row
from cache_comparison.policies import OPTIMUM, OURS

COLUMNS: Final = 3
INCHES: Final = (10.0, 5.6)
DOTS_PER_INCH: Final = 80


def draw(traces: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Writes the picture. Raises ImportError without matplotlib."""
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    lines = -(-len(traces) // COLUMNS)
    figure, places = pyplot.subplots(lines, COLUMNS, figsize=INCHES, layout="constrained", squeeze=False)
    for axes, (name, rows) in zip(places.flat, traces.items(), strict=False):
        for policy in rows[0].ratios:
            width = 2.2 if policy == OURS else 1.2
            dashes = "--" if policy == OPTIMUM else "-"
            ratios = [100 * row.ratios[policy] for row in rows]
            axes.plot([row.size for row in rows], ratios, dashes, linewidth=width, label=policy)
        axes.set(title=name, xlabel="entries", ylabel="hits, %", xscale="log", ylim=(0, None))
        axes.grid(visible=True, which="major", alpha=0.3)
    places.flat[0].legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    pyplot.close(figure)
