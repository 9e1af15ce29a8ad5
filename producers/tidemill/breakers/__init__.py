"""Circuit breakers that all processes share: when a dependency is down, nobody calls it but a few probes.

    closed ──failures, error_rate, slow_calls──▶ open ──reset_timeout──▶ half_open ──probes pass──▶ closed
                                                   ▲                        │
                                                   └────────a probe fails───┘

Each process counts its own calls (`rules.py`, on pybreaker), so a call of a closed breaker costs no round trip. What
one finds out, all are told: the state is in Redis, is changed by scripts (`wire/lua/*_breaker.lua`), and is published;
`exchange.py` listens. Each process has a copy (`standing.py`), which decides on calls. Only where it is half-open the
server is asked: its probes need permits, which the whole fleet has a number of.

Without the server each process goes on with its own copy, by the same rules, and lets so many probes through by itself;
when the server is back, it tells what it has found out, and takes what is newer there.
"""

from tidemill.breakers.breaker import Breaker, Call
from tidemill.breakers.settings import BreakerOptions, BreakerSettings

__all__ = ["Breaker", "BreakerOptions", "BreakerSettings", "Call"]
