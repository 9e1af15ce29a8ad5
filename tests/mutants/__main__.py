"""Plants each bug in a copy of the source, and runs the layer that has to find it: `python -m mutants`, with tests/ on
the path.

Each layer is first run on a copy without a bug, which it must not object to. Ends with 1 when a bug was not found, or
when the source has changed so that it can't be planted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mutants.catalogue import MUTANTS, Mutant
from mutants.layers import LAYERS, check_imports, copy_source, run


def main() -> int:
    """Runs all, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="such as M1 M7; all without")
    names = parser.parse_args().names
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    began = time.monotonic()
    if not are_clean(list(dict.fromkeys(mutant.layer for mutant in chosen))):
        return 1
    caught = sum(is_caught(mutant) for mutant in chosen)
    print(f"{caught} of {len(chosen)} caught, in {time.monotonic() - began:.0f} s")
    return int(caught < len(chosen))


def are_clean(layers: Sequence[str]) -> bool:
    """Whether these layers find nothing in the source as it is."""
    clean = True
    for name in layers:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="tm-control-") as directory:
            root = Path(directory).resolve()
            copy_source(root)
            check_imports(root)
            verdict = run(LAYERS[name], root)
        said = "passes" if verdict.is_clean else f"FAILS: {verdict.what}"
        print(f"     {name}: the source without a bug {said} ({time.monotonic() - began:.0f} s)", flush=True)
        clean = clean and verdict.is_clean
    return clean


def is_caught(mutant: Mutant, layer: str = "") -> bool:
    """Whether its layer, or another one, finds it."""
    name, began = layer or mutant.layer, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tm-mutant-") as directory:
        root = Path(directory).resolve()
        copy_source(root)
        mutant.plant(root)
        verdict = run(LAYERS[name], root)
    said = f"caught by {name}" if verdict.is_caught else f"MISSED by {name}"
    seconds = time.monotonic() - began
    print(f"{mutant.name:4} {said} ({seconds:.0f} s): {mutant.bug}: {verdict.what[:200]}", flush=True)
    return verdict.is_caught


if __name__ == "__main__":
    sys.exit(main())
