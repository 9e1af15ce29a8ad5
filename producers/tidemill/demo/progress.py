"""What is shown while the demo runs: one line, drawn again and again on a terminal, else a plain one now and then."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Final, TextIO

# How often a plain line is written where nothing can be drawn again: a log of a minute stays on one page.
_PLAIN_SECONDS: Final = 2.0
# The rate shown is that of the last seconds, so that it says how fast it is now.
_RATE_SECONDS: Final = 2.0
_BAR_CHARS: Final = 24
# Erases from the cursor to the end of the line (ECMA-48, EL).
_ERASE: Final = "\x1b[K"


@dataclass(frozen=True, slots=True)
class Depth:
    """Where the jobs are: delayed (wheel), ready (stream), running, dead; `done` of `files` index jobs are over."""

    files: int
    done: int
    wheel: int
    stream: int
    running: int
    dead: int


class Progress:
    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._drawn = False
        self._next_plain = 0.0
        self._seen: deque[tuple[float, int]] = deque()

    def say(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        print(text, file=self._stream, flush=True)

    def clear(self) -> None:
        """Removes the drawn line."""
        if self._drawn:
            self._stream.write(f"\r{_ERASE}")
            self._stream.flush()
            self._drawn = False

    def show(self, depth: Depth) -> None:
        now = time.monotonic()
        line = f"{_bar(depth)}  {self._rate(now, depth.done):4.0f}/s  {_depths(depth)}"
        if self._stream.isatty():
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r{line[:width]}{_ERASE}")
            self._stream.flush()
            self._drawn = True
        elif now >= self._next_plain:
            self.say(line)
            self._next_plain = now + _PLAIN_SECONDS

    def _rate(self, now: float, done: int) -> float:
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        return (done - before) / (now - since) if now > since else 0.0


def _bar(depth: Depth) -> str:
    fraction = min(1.0, depth.done / depth.files)
    full = round(fraction * _BAR_CHARS)
    return f"[{'#' * full}{'.' * (_BAR_CHARS - full)}] {fraction:4.0%}  {depth.done:,} of {depth.files:,} files"


def _depths(depth: Depth) -> str:
    return f"wheel {depth.wheel:,}  stream {depth.stream:,}  running {depth.running}  dead {depth.dead}"
