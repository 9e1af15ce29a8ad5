"""Whether a run counts: every job must have run, and once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmarks.recorder import Start


class DoesNotCount(Exception):
    """The figures of this run say nothing, for the reason given."""


def each_once(starts: Sequence[Start], jobs: int) -> None:
    """Raises DoesNotCount unless the jobs 0 … jobs - 1 were started, each of them once."""
    times = Counter(start.number for start in starts)
    lost = [number for number in range(jobs) if number not in times]
    doubled = [number for number, count in times.items() if count > 1]
    unknown = [number for number in times if not 0 <= number < jobs]
    found = [
        f"{len(numbers)} {what} (the first: {numbers[0]})"
        for what, numbers in (("never ran", lost), ("ran more than once", doubled), ("nobody enqueued", unknown))
        if numbers
    ]
    if found:
        raise DoesNotCount(f"of {jobs} jobs {', '.join(found)}")
