"""Whether a module is being imported: an import never talks to a server."""

from __future__ import annotations

from types import FrameType


def is_importing(frame: FrameType | None) -> bool:
    """Is this called, by however many functions in between, from the top level of a module that is being imported?"""
    while frame is not None:
        spec = frame.f_globals.get("__spec__") if frame.f_code.co_name == "<module>" else None
        if getattr(spec, "_initializing", False):
            return True
        frame = frame.f_back
    return False
