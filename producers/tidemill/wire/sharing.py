"""The commands of those who look at the tenants of a queue, and weigh them."""

from __future__ import annotations

from typing import Any, NamedTuple

from tidemill.wire.command import Command
from tidemill.wire.keys import LANES
from tidemill.wire.replies import pairs, text, texts
from tidemill.wire.shard import Shard

_NAME = "name:"


class Weight(NamedTuple):
    """What an operator has set for a tenant, by its name."""

    name: str
    weight: float


class Sharing(Shard):
    def waiting_tenants(self, queue: str, lane: str, most: int) -> Command[list[str]]:
        """The digests of tenants that wait for a turn in a lane, the next one first."""
        assert lane in LANES
        return Command(
            ("ZRANGE", self.keys.turns(queue, lane), 0, most), lambda reply: [one for one in texts(reply) if one]
        )

    def line_length(self, queue: str, lane: str, tenant: str) -> Command[int]:
        """How many jobs of a tenant wait for their turn; `tenant`: its digest."""
        return Command(("ZCARD", self.keys.line(queue, lane, tenant)), int)

    def line(self, queue: str, lane: str, tenant: str, offset: int, count: int) -> Command[list[str]]:
        """Their ids, those that came first at first."""
        return Command(("ZRANGE", self.keys.line(queue, lane, tenant), offset, offset + count - 1), texts)

    def weights(self, queue: str) -> Command[dict[str, Weight]]:
        """By digest."""

        def parse(reply: Any) -> dict[str, Weight]:
            found = {name: text(value) for name, value in pairs(reply)}
            return {
                digest: Weight(found.get(_NAME + digest, ""), float(value))
                for digest, value in found.items()
                if not digest.startswith(_NAME)
            }

        return Command(("HGETALL", self.keys.tenants(queue)), parse)

    def set_weight(self, queue: str, tenant: str, weight: float | None) -> Command[int]:
        """`tenant`: its name; "": those without. None: the weight of others, 1."""
        key, digest = self.keys.tenants(queue), self.keys.tenant(tenant)
        if weight is None:
            return Command(("HDEL", key, digest, _NAME + digest), int)
        return Command(("HSET", key, digest, repr(weight), _NAME + digest, tenant), int)
