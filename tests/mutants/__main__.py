"""Plants each bug in a copy of the source, and runs the layer that has to find it: `python -m mutants`.

It ends with 1 when a bug was not found, or when the source has changed so that it can't be planted.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from mutants.catalogue import MUTANTS, Mutant

_ROOT: Final = Path(__file__).parent.parent.parent
_SOURCES: Final = ("producers", "consumers", "scheduler")
# A layer's command, behind the interpreter. It ends with 1 when it has found something.
_LAYERS: Final = {"simulation": ("-m", "simulation", "--processes", "1", "--seeds", "400")}


def main() -> int:
    """Runs all, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="such as M1 M7; all without")
    names = parser.parse_args().names
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    caught = sum(_is_caught(mutant) for mutant in chosen)
    print(f"{caught} of {len(chosen)} caught")
    return int(caught < len(chosen))


def _is_caught(mutant: Mutant) -> bool:
    with tempfile.TemporaryDirectory(prefix="tm-mutant-") as directory:
        root = Path(directory)
        for source in (*_SOURCES, "tests"):
            shutil.copytree(_ROOT / source, root / source, ignore=shutil.ignore_patterns("__pycache__"))
        mutant.plant(root)
        path = os.pathsep.join(str(root / source) for source in (*_SOURCES, "tests"))
        found = subprocess.run(
            [sys.executable, *_LAYERS[mutant.layer]],
            env={**os.environ, "PYTHONPATH": path},
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    last = _violation(found.stdout) or found.stderr[-300:].strip()
    is_caught = found.returncode == 1 and "violations" in found.stdout
    print(f"{mutant.name:4} {'caught' if is_caught else 'MISSED'} by {mutant.layer}: {mutant.bug}: {last}", flush=True)
    return is_caught


def _violation(output: str) -> str:
    """The first seed that found it, and what it saw."""
    found = re.findall(r"^seed \d+: .*", output, re.MULTILINE)
    return str(found[0]) if found else ""


if __name__ == "__main__":
    sys.exit(main())
