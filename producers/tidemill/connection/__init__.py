"""Links to the server: sync and async, with one implementation of everything but the call itself.

The driver's own retries are off: redis-py 8 sends a command again by itself up to ten times, which makes two jobs of
one. Ours may be sent again because each is idempotent: an enqueue by its job's id, a settlement by its fence. So a link
repeats a command until it has an answer or the deadline is over, with full jitter, and then raises ServerUnavailable.

| module | what |
| --- | --- |
| `driver` | redis-py, as far as it is used: a connection's options, and how its errors are read |
| `attempts` | what is tried again, and what an error means for the caller |
| `sentinel` | where the primary is, if the URL names sentinels |
| `sentinel_watch` | a thread that hears of another primary, and cuts the connections to the former one |
| `link` | `Line`: one connection of one thread; `Link`: commands from any thread |
| `async_link` | `AsyncLink`: commands from any event loop |

No exception of redis-py leaves this package, and nothing else imports redis-py.
"""

from tidemill.connection.async_link import AsyncLink
from tidemill.connection.link import Line, Link, open_line

__all__ = ["AsyncLink", "Line", "Link", "open_line"]
