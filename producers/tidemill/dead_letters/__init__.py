"""Dead letters: `mill.dead_letters` finds them, runs them again and removes them; who did it and why is kept.

- `facade.py`: what applications call.
- `filters.py`: which letters are meant.
- `walk.py`: goes through them, a page at a time.
- `bulk.py`: runs many again at a rate, or removes them.
- `editing.py`: new arguments for one.
- `history.py`: what happened to a job, and what was done by hand.
- `hands.py`: who does something, and why.
"""

from tidemill.dead_letters.bulk import BulkResult
from tidemill.dead_letters.facade import DeadLetters
from tidemill.dead_letters.filters import Filter
from tidemill.dead_letters.history import HandAction, JobEvent, JobHistory
from tidemill.dead_letters.walk import DeadLetter, DeadLetterPage

__all__ = [
    "BulkResult",
    "DeadLetter",
    "DeadLetterPage",
    "DeadLetters",
    "Filter",
    "HandAction",
    "JobEvent",
    "JobHistory",
]
