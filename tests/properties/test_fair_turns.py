"""What weighted fair queueing promises, on the real scripts: while two tenants both wait, what they get, divided by
their weights, differs by one job's worth of each at most (S. J. Golestani, INFOCOM 1994), whatever comes and goes.
"""

from __future__ import annotations

from itertools import combinations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invariants import violations
from script_state import NOW, World
from tidemill.wire.keys import Keys
from tidemill.wire.scripts import NewJob, NewJobs

NAMES = ("acme", "bolt", "cord", "")
TENANTS = [Keys.tenant(name) for name in NAMES]
SPARE = 2
ROUNDING = 1e-9
NOT_CHECKED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

weights = st.tuples(*[st.sampled_from((0.25, 1.0, 1.0, 3.0, 7.5)) for _ in TENANTS])
tenants = st.sampled_from(range(len(TENANTS)))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("enqueue"), tenants, st.integers(1, 30)),
        st.tuples(st.just("take"), st.just(0), st.integers(0, 12)),
        st.tuples(st.just("take"), st.just(0), st.integers(0, 12)),
        st.tuples(st.just("cancel"), tenants, st.integers(1, 30)),
    ),
    min_size=4,
    max_size=25,
)


class _Flow:
    """Runs the steps, and measures for each pair of tenants how far they have come apart while both wait."""

    def __init__(self, world: World, weight: tuple[float, ...]) -> None:
        self.world = world
        self.weight = weight
        self.count = 0
        self.after = "-"
        self.apart: dict[tuple[int, int], list[float]] = {}  # now, least, most
        world.replace({})
        for name, value in zip(NAMES, weight, strict=True):
            world.run(world.scripts.set_weight("q", name, value))
        world.run(world.scripts.register("w1", 10**9, ["q"], {}, {"pid": "1"}, NOW))

    def enqueue(self, tenant: int, jobs: int) -> None:
        new = [NewJob(f"{tenant}-{self.count + number:05}", "", b"body") for number in range(jobs)]
        self.count += jobs
        digest = TENANTS[tenant] if NAMES[tenant] else "-" * 16
        self.world.run(self.world.scripts.enqueue(NewJobs("q", "t", tenants=digest), new, NOW + self.count))

    def take(self, slots: int) -> None:
        waiting = len(self.waiting()) > 0
        takings = self.world.run(self.world.scripts.take("w1", ("q",), slots, now_ms=NOW))
        if waiting and self.waiting():
            assert len(takings.jobs) == slots, "who waits does not wait beside a free slot"
            assert self.undelivered() == SPARE

    def cancel(self, tenant: int, jobs: int) -> None:
        ids = self.world.run(self.world.scripts.tenant_line("q", "normal", TENANTS[tenant], 0, jobs))
        if ids:
            self.world.run(self.world.scripts.cancel(ids, NOW))

    def undelivered(self) -> int:
        keys = self.world.keys
        (group,) = self.world.client.xinfo_groups(keys.ready("q", "normal"))
        return int(self.world.client.xlen(keys.ready("q", "normal"))) - int(group["pending"])

    def waiting(self) -> set[int]:
        lengths = [self.world.run(self.world.scripts.line_length("q", "normal", tenant)) for tenant in TENANTS]
        return {place for place, length in enumerate(lengths) if length}

    def let_in(self) -> list[int]:
        """Whose tickets came since this was asked last, in their order."""
        found = self.world.client.xrange(self.world.keys.ready("q", "normal"), self.after, "+")
        if found:
            self.after = "(" + found[-1][0].decode()
        return [int(fields[b"j"].decode().partition("-")[0]) for _, fields in found]

    def look(self, before: set[int]) -> None:
        waiting, came = self.waiting() & before, self.let_in()
        for pair in combinations(range(len(TENANTS)), 2):
            if not waiting.issuperset(pair):
                self.apart.pop(pair, None)
                continue
            apart = self.apart.setdefault(pair, [0.0, 0.0, 0.0])
            one, other = pair
            for tenant in came:
                apart[0] += (tenant == one) / self.weight[one] - (tenant == other) / self.weight[other]
                apart[1], apart[2] = min(apart[0], apart[1]), max(apart[0], apart[2])
            bound = 1 / self.weight[one] + 1 / self.weight[other]
            assert apart[2] - apart[1] <= bound + ROUNDING, f"{pair} of weights {self.weight}"


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=NOT_CHECKED)
@given(weights, steps)
def test_while_two_wait_they_get_what_their_weights_say(
    world: World, weight: tuple[float, ...], steps: list[tuple[str, int, int]]
) -> None:
    flow = _Flow(world, weight)
    for verb, tenant, number in steps:
        before = flow.waiting()
        match verb:
            case "enqueue":
                flow.enqueue(tenant, number)
            case "take":
                flow.take(number)
            case _:
                flow.cancel(tenant, number)
        flow.look(before)
    assert not violations(world.dump(), NOW + 10**6)


@settings(max_examples=20, deadline=None, database=None, suppress_health_check=NOT_CHECKED)
@given(st.integers(1, 60))
def test_jobs_of_one_tenant_are_let_in_in_the_order_in_which_they_came(world: World, slots: int) -> None:
    flow = _Flow(world, (1.0,) * 4)
    for _ in range(4):
        flow.enqueue(0, 25)
    while flow.waiting():
        flow.take(slots)
    found = world.client.xrange(world.keys.ready("q", "normal"))
    ids = [fields[b"j"].decode() for _, fields in found]
    assert ids == sorted(ids)
    assert len(ids) == 100
