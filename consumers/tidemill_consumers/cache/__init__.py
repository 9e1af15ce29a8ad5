"""A bounded cache in memory that follows whichever of recency, frequency or both serves the program best.

It stands alone: nothing of Tidemill is imported here.

| module | what |
| --- | --- |
| `cache` | `Cache`: what is held, its bounds, its threads |
| `recency`, `frequency` | experts: what each would hold, without the values |
| `popularity` | how often keys were used of late |
| `leader` | which of the experts has had more hits of late |
"""

from tidemill_consumers.cache.cache import Cache, Reason, Stats

__all__ = ["Cache", "Reason", "Stats"]
