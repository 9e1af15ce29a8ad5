"""What a cache holds under a key."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Entry(Generic[K, V]):
    """`weight`: its share of the room, as the experts count it. `ends`: on the cache's clock; None: never."""

    __slots__ = ("ends", "key", "size_bytes", "value", "weight")

    def __init__(self, key: K, value: V, size_bytes: int, weight: int, ends: float | None) -> None:
        self.key = key
        self.value = value
        self.size_bytes = size_bytes
        self.weight = weight
        self.ends = ends
