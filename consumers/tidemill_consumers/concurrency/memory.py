"""How much of its memory a worker uses: of its container's limit if there is one, else of the machine's memory.

In a container the limit is for all its processes together, and so is what is counted: the memory that the system could
only get back by swapping (`anon`, or `total_rss` in version 1), not its cache of files. Without a container it is this
process's resident set.

Source: the Linux kernel's documentation, admin-guide/cgroup-v2 and cgroup-v1/memory.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
_STATM: Final = Path("/proc/self/statm")
# Where version 2, or 1, keeps the limit and the use of the group that a container sees as its root; the names of use.
_FILES: Final = (
    ("memory.max", "memory.stat", "anon"),
    ("memory/memory.limit_in_bytes", "memory/memory.stat", "total_rss"),
)


def share(cgroups: Path = CGROUPS) -> float | None:
    """From 0 to 1; None where the system does not say."""
    try:
        machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        of_container = _container_share(cgroups, machine_bytes)
        if of_container is not None:
            return of_container
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / machine_bytes
    except (OSError, ValueError, AttributeError):  # not Linux
        return None


def _container_share(cgroups: Path, machine_bytes: int) -> float | None:
    for limit_file, use_file, name in _FILES:
        try:
            text = (cgroups / limit_file).read_text(encoding="ascii").strip()
            # "max", or a number beyond the machine's: there is no limit.
            if not text.isdecimal() or not 0 < int(text) < machine_bytes:
                continue
            used = (cgroups / use_file).read_text(encoding="ascii")
        except OSError:
            continue
        fields = dict(line.split() for line in used.splitlines())
        if name in fields:
            return int(fields[name]) / int(text)
    return None
