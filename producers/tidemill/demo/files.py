"""Which files are indexed."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Final

from tidemill.errors import InvalidInput

# Installed packages are not the standard library, and caches hold no sources.
_SKIPPED: Final = frozenset({"site-packages", "dist-packages", "__pycache__"})


def find(root: Path, most: int | None = None) -> list[str]:
    """The .py files below a folder, sorted, as paths relative to it with `/`; at most `most`, evenly spread.

    Raises InvalidInput when there are none.
    """
    found: list[str] = []
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if name not in _SKIPPED]
        place = Path(folder).relative_to(root)
        found += [(place / name).as_posix() for name in files if name.endswith(".py") and Path(folder, name).is_file()]
    if not found:
        raise InvalidInput(f"{root} has no .py files: name another folder with --root")
    found.sort()
    if most is None or most >= len(found):
        return found
    return [found[index * len(found) // most] for index in range(most)]


def by_folder(names: list[str]) -> dict[str, list[str]]:
    """The names of each folder."""
    folders: dict[str, list[str]] = defaultdict(list)
    for name in names:
        folders[str(PurePosixPath(name).parent)].append(name)
    return dict(folders)
