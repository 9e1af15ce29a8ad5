"""A bounded cache in memory that follows whichever of recency and frequency serves the program better.

It stands alone: nothing of Tidemill is imported here.

| module | what |
| --- | --- |
| `cache` | `Cache`: what is held, its bounds, its threads |
| `recency`, `frequency` | two experts: what each would hold, without the values |
| `leader` | which of them has had more hits of late |
"""

from tidemill_consumers.cache.cache import Cache, Reason, Stats

__all__ = ["Cache", "Reason", "Stats"]
