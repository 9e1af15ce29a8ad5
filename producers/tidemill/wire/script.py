"""Loads the Lua scripts: one file for each transition in `lua/`, shared pieces in `lua/lib/`.

A file names the pieces that it uses in a line `-- include: clock root …`; they are put after its first line (`#!lua`),
in that order. Scripts are called by the SHA-1 of the whole text, so two releases with different scripts can run side
by side.
"""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import NamedTuple

DIRECTORY = Path(__file__).parent / "lua"
_INCLUDE = re.compile(r"^-- include: (.+)$", re.MULTILINE)


class Script(NamedTuple):
    """A script's name (its file), whole text, and SHA-1 digest in hex."""

    name: str
    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """The script of `lua/<name>.lua` with what it includes."""
    source = (DIRECTORY / f"{name}.lua").read_text(encoding="utf-8")
    shebang, _, body = source.partition("\n")
    found = _INCLUDE.search(body)
    pieces = found.group(1).split() if found else []
    text = "\n".join([shebang, *((DIRECTORY / "lib" / f"{piece}.lua").read_text() for piece in pieces), body])
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def names() -> list[str]:
    """The names of all scripts: the transitions of the state machine, and a few that do not change a job."""
    return sorted(path.stem for path in DIRECTORY.glob("*.lua"))
