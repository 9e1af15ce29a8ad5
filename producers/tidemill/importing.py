"""Whether a module is being imported: an import never talks to a server."""

from __future__ import annotations

import sys
from types import FrameType


def is_importing() -> bool:
    """Is this called, by however many functions in between, from the top level of a module that is being imported?"""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - documented in `sys`
    while frame is not None:
        spec = frame.f_globals.get("__spec__") if frame.f_code.co_name == "<module>" else None
        if getattr(spec, "_initializing", False):
            return True
        frame = frame.f_back
    return False
