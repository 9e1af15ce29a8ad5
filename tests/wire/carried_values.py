"""Types of an application, whose values are sent in tests of the envelope."""

from __future__ import annotations

import math
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from typing import Generic, NamedTuple, NewType, TypedDict, TypeVar
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")


T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


@dataclass
class Route:
    name: str
    stops: list[Point] = field(default_factory=list[Point])
    length: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.length = math.dist((0, 0), (self.stops[-1].x, self.stops[-1].y)) if self.stops else 0.0


@dataclass
class Page(Generic[T]):
    items: list[T]
    when: datetime | None = None


@dataclass(kw_only=True, slots=True)
class Slotted:
    point: Point | None = None


@dataclass
class NotRegistered:
    x: int = 0


@dataclass
class Lossy:
    secret: InitVar[str]


class Fruit(StrEnum):
    PEAR = "pear"


class Level(IntEnum):
    HIGH = 3


class Huge(IntEnum):
    ONE = 2**64


class Colour(Enum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: str


class Text(str):
    __slots__ = ()


class Options(TypedDict):
    where: Point


class Opaque:
    pass


Place = NewType("Place", Point)
