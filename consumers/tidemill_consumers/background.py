"""Threads that a worker can't live without: one that dies is reported, and takes the process with it."""

from __future__ import annotations

import threading
from collections.abc import Callable


def background(role: str, serve: Callable[[], None], failed: Callable[[str, BaseException], None]) -> threading.Thread:
    """A thread that is not started yet. What escapes from `serve` is given to `failed`, with the role."""

    def guarded() -> None:
        try:
            serve()
        except BaseException as error:  # noqa: BLE001 - SystemExit too would end the thread without a word
            failed(role, error)

    return threading.Thread(target=guarded, name=f"tidemill-{role}", daemon=True)
