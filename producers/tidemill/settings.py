"""What can be tuned, each with its unit in its name and the reason for its value."""

from __future__ import annotations

from typing import Final

# How long a finished record, with its result, can be asked for, unless `result_ttl` says otherwise.
RESULT_TTL_MS: Final = 3_600_000
# How many finished records a queue keeps at most: about 25 MB, however fast it is.
MAX_FINISHED: Final = 100_000
# Dead letters wait for a person: a month, and as many as finished records.
DEAD_TTL_MS: Final = 30 * 86_400_000
MAX_DEAD: Final = 100_000

# How long a call tries again while the server does not answer, before it raises ServerUnavailable.
SERVER_DEADLINE_SECONDS: Final = 10.0
# A reply that takes longer than this is counted as lost. Longer than any script of ours by far, shorter than patience.
REPLY_TIMEOUT_SECONDS: Final = 5.0
CONNECT_TIMEOUT_SECONDS: Final = 3.0
# Full jitter between 0 and min(cap, base × 2^n): spreads clients that lost the same server.
RETRY_BASE_SECONDS: Final = 0.05
RETRY_CAP_SECONDS: Final = 1.0
# Those that must wait for the server, however long, knock again after this part of the time that it has been away.
RETRY_PART: Final = 0.25

# Connections of one event loop, however many coroutines talk to the server at the same time.
ASYNC_CONNECTIONS: Final = 16

# A chunk of enqueue_many: one script call of about a millisecond on the server.
ENQUEUE_CHUNK_JOBS: Final = 200
