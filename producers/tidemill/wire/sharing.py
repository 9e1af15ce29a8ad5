"""The commands of those who look at the tenants of a queue, and weigh them."""

from __future__ import annotations

from typing import Any, NamedTuple

from tidemill.wire.command import Command
from tidemill.wire.keys import LANES
from tidemill.wire.replies import pairs, text, texts
from tidemill.wire.shard import Shard

_NAME, _LIMIT = "name:", "limit:"
_EACH = "limit"


class Terms(NamedTuple):
    """What an operator has set for a tenant. `limit`: of the jobs that wait for their turn."""

    name: str = ""
    weight: float = 1.0
    limit: int | None = None


class Sharing(Shard):
    def waiting_tenants(self, queue: str, lane: str, most: int) -> Command[list[str]]:
        """The digests of tenants that wait for a turn in a lane, the next one first."""
        assert lane in LANES
        return Command(
            ("ZRANGE", self.keys.turns(queue, lane), 0, most), lambda reply: [one for one in texts(reply) if one]
        )

    def line_length(self, queue: str, lane: str, tenant: str) -> Command[int]:
        """How many jobs of a tenant wait for their turn; `tenant`: its digest."""
        return Command(("ZCARD", self.keys.tenant_line(queue, lane, tenant)), int)

    def tenant_line(self, queue: str, lane: str, tenant: str, offset: int, count: int) -> Command[list[str]]:
        """Their ids, those that came first at first."""
        return Command(("ZRANGE", self.keys.tenant_line(queue, lane, tenant), offset, offset + count - 1), texts)

    def terms(self, queue: str) -> Command[dict[str, Terms]]:
        """By digest; "": of those that are not named, where there are such."""

        def parse(reply: Any) -> dict[str, Terms]:
            found = {name: text(value) for name, value in pairs(reply)}
            each = int(found.pop(_EACH)) if _EACH in found else None
            terms = {"": Terms(limit=each)}
            for digest in {field.rpartition(":")[2] for field in found}:
                limit = int(found[_LIMIT + digest]) if _LIMIT + digest in found else each
                terms[digest] = Terms(found.get(_NAME + digest, ""), float(found.get(digest, 1)), limit)
            return terms

        return Command(("HGETALL", self.keys.tenants(queue)), parse)

    def set_weight(self, queue: str, tenant: str, weight: float | None) -> Command[int]:
        """`tenant`: its name; "": those without. None: the weight of others, 1."""
        key, digest = self.keys.tenants(queue), self.keys.tenant(tenant)
        if weight is None:
            return Command(("HDEL", key, digest), int)
        return Command(("HSET", key, digest, repr(weight), _NAME + digest, tenant), int)

    def set_tenant_limit(self, queue: str, tenant: str, jobs: int | None) -> Command[int]:
        """`tenant`: its name; "": each without one of its own. The queue's settings must say that there are any."""
        key, digest = self.keys.tenants(queue), self.keys.tenant(tenant)
        if jobs is None:
            return Command(("HDEL", key, _LIMIT + digest if tenant else _EACH), int)
        named = (_LIMIT + digest, jobs, _NAME + digest, tenant) if tenant else (_EACH, jobs)
        return Command(("HSET", key, *named), int)
