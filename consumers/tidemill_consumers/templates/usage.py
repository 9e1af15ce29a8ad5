"""How often versions are used, and how often they were held then: counted a batch of jobs at a time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection

from tidemill.wire.templating import Use
from tidemill_consumers.templates.version import Key


class Usage:
    """Calls come from any thread."""

    def __init__(self) -> None:
        self._uses: Counter[Key] = Counter()
        self._misses: Counter[Key] = Counter()
        self._lock = threading.Lock()
        self.total_uses = self.total_misses = 0

    def count(self, used: Collection[Key], missed: Collection[Key] = ()) -> None:
        """One for each job; what was missed is among what was used."""
        with self._lock:
            self.total_uses += len(used)
            self.total_misses += len(missed)
            self._uses.update(used)
            self._misses.update(missed)

    def __bool__(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._uses)

    def take(self) -> list[Use]:
        """What was counted since the last call."""
        with self._lock:
            uses, self._uses = self._uses, Counter()
            misses, self._misses = self._misses, Counter()
        return [Use(*key, count, count - misses[key]) for key, count in uses.items()]
