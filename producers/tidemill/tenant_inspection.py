"""Looking at the tenants of a queue, and weighing them: the operations behind `mill.inspect`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tidemill import tenants, validation
from tidemill.client import Batch
from tidemill.errors import InvalidInput
from tidemill.wire.keys import LANES
from tidemill.wire.sharing import Terms

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

# Tenants that are looked at in one lane, those whose turn is next: a reply of half a megabyte.
_MOST_TENANTS: Final = 10_000
# Lengths asked for in one round trip.
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class TenantFigures:
    """A tenant of a queue. `name`: "" of one for which nothing was set, since Redis holds but digests.

    `waiting`: its jobs that wait for their turn; `limit`: of these.
    """

    digest: str
    name: str
    weight: float
    waiting: int
    limit: int | None


class Line(NamedTuple):
    """The jobs of a tenant that wait in a lane. `tenant`: its digest."""

    lane: str
    tenant: str


def lines(client: Client, queue: str) -> Operation[list[Line]]:
    """Of all tenants that wait."""
    commands = [client.scripts.waiting_tenants(queue, lane, _MOST_TENANTS) for lane in LANES]
    found: list[list[str]] = yield Batch(commands)
    return [Line(lane, tenant) for lane, waiting in zip(LANES, found, strict=True) for tenant in waiting]


def figures(client: Client, queue: str, most: int) -> Operation[list[TenantFigures]]:
    """The tenants that wait, and those with a weight or a limit; who waits with most jobs first."""
    validation.queue_name(queue)
    validation.whole("limit", most, 1, _MOST_TENANTS)
    terms: dict[str, Terms] = yield client.scripts.terms(queue)
    each = terms.pop("")
    waiting = {digest: 0 for digest, found in terms.items() if found != each._replace(name=found.name)}
    found = yield from lines(client, queue)
    for start in range(0, len(found), _PAGE):
        page = found[start : start + _PAGE]
        lengths: list[int] = yield Batch([client.scripts.line_length(queue, *line) for line in page])
        for line, length in zip(page, lengths, strict=True):
            waiting[line.tenant] = waiting.get(line.tenant, 0) + length
    ranked = sorted(waiting.items(), key=lambda item: (-item[1], item[0]))
    return [_figures(digest, jobs, terms.get(digest, each)) for digest, jobs in ranked[:most]]


def _figures(digest: str, jobs: int, terms: Terms) -> TenantFigures:
    return TenantFigures(digest, terms.name, terms.weight, jobs, terms.limit)


def set_weight(client: Client, queue: str, tenant: object, weight: float | None) -> Operation[None]:
    """Raises InvalidInput for a weight out of its bounds."""
    name = tenants.name("tenant", tenant)
    if weight is not None:
        value: Any = validation.number("weight", weight)
        if not tenants.MIN_WEIGHT <= value <= tenants.MAX_WEIGHT:
            raise InvalidInput(f"weight must be from {tenants.MIN_WEIGHT:g} to {tenants.MAX_WEIGHT:g}, not {weight!r}")
        weight = float(value)
    yield client.scripts.set_weight(validation.queue_name(queue), name, weight)


def set_limit(client: Client, queue: str, jobs: int | None, tenant: object) -> Operation[None]:
    """Raises InvalidInput for a limit that is none."""
    name = tenants.name("tenant", tenant)
    if jobs is not None:
        validation.whole("limit", jobs, 1, 10**9)
    scripts = client.scripts
    yield scripts.set_tenant_limit(validation.queue_name(queue), name, jobs)
    # It stays when the last limit goes: it only says where to look.
    yield scripts.configure(queue, {"tenant_limits": "1"})
