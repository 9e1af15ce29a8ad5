"""What can be tuned for dead letters, each with its unit in its name and the reason for its value."""

from __future__ import annotations

from typing import Final

# Letters that one script looks at, runs again or removes: below a millisecond on the server, also when each error is as
# long as it can be, which the script reads whole; and with the audit as bounded as it is, 100,000 removals fit into it.
PAGE_LETTERS: Final = 25
# With a rate, calls are so far apart: even to whoever works the jobs off, few enough for the audit not to fill.
CALL_EVERY_SECONDS: Final = 0.2
# A pause is taken in parts of this length, so that whoever interrupts it is heard soon.
PAUSE_SECONDS: Final = 0.5
# More a second than a script makes ready is no limit.
MAX_RATE: Final = 100_000.0
# Entries of the audit or of the events that one command reads: about a hundred kilobytes.
STREAM_PAGE: Final = 100
# Both stand in each entry of the audit, which is bounded by their length.
MAX_BY_CHARS: Final = 128
MAX_REASON_CHARS: Final = 1_000
MAX_TEXT_CHARS: Final = 200
