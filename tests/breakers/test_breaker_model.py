"""The scripts of a breaker, in any order, do what a model of a few lines says; and whoever hears their news, in any
order and as often as it may be, ends with the newest."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from script_state import NOW, World
from tidemill.breakers.standing import UNKNOWN, heard
from tidemill.wire.scripts import BreakerState, Hand, News, ProbeOutcome, Reopening

EXAMPLES = int(os.environ.get("TIDEMILL_EXAMPLES", "40"))
RESET, MOST, LEASE, PERMITS = 1_000, 4_000, 700, 2
NAMES = ("p1", "p2", "p3", "p4")


@dataclass
class Model:
    """`permits`: of probes that are under way, and when they are over."""

    state: BreakerState = "closed"
    epoch: int = 0
    due: int = 0
    openings: int = 0
    passed: int = 0
    permits: dict[str, int] = field(default_factory=dict[str, int])

    def change(self, state: BreakerState, now: int, due: int) -> None:
        self.state, self.epoch, self.due = state, max(self.epoch + 1, now), due
        self.passed, self.permits = 0, {}

    def open(self, now: int) -> None:
        self.openings += 1
        self.change("open", now, now + min(RESET * 2 ** (self.openings - 1), MOST))

    def probe(self, permit: str, now: int) -> bool:
        if self.state == "open" and self.due <= now:
            self.change("half_open", now, now)
        if self.state != "half_open":
            return False
        self.permits = {name: ends for name, ends in self.permits.items() if ends > now}
        if permit not in self.permits and self.passed + len(self.permits) >= PERMITS:
            return False
        self.permits[permit] = now + LEASE
        return True

    def settle(self, permit: str, outcome: ProbeOutcome, now: int) -> None:
        if self.state != "half_open" or self.permits.pop(permit, None) is None:
            return
        if outcome == "failed":
            self.open(now)
        elif outcome == "passed":
            self.passed += 1
            if self.passed >= PERMITS:
                self.openings = 0
                self.change("closed", now, now)


class BreakerMachine(RuleBasedStateMachine):
    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.replace({})
        self.model = Model()
        self.now = NOW
        self.news: list[News] = []
        self.last_epoch = 0

    def run(self, command: Any) -> Any:
        return self.world.run(command)

    def heard(self, news: News) -> None:
        self.news.append(news)
        assert (news.epoch, news.state) == (self.model.epoch, self.model.state)

    @rule(by=st.sampled_from((1, 300, 700, 1_000, 4_000)))
    def time_passes(self, by: int) -> None:
        self.now += by

    @rule(late=st.sampled_from((0, 0, 0, 1, 5_000)))
    def trip(self, late: int) -> None:
        epoch = max(0, self.model.epoch - late)
        command = self.world.scripts.trip_breaker("pay", epoch, "failures", Reopening(RESET, MOST), self.now)
        if self.model.state == "closed" and epoch == self.model.epoch:
            self.model.open(self.now)
        self.heard(self.run(command))
        self.heard(self.run(command))  # sent again: that changes nothing more

    @rule(permit=st.sampled_from(NAMES), late=st.sampled_from((0, 0, 1)))
    def probe(self, permit: str, late: int) -> None:
        epoch = max(0, self.model.epoch - late)
        is_given = self.model.probe(permit, self.now)
        news, found = self.run(self.world.scripts.probe_breaker("pay", epoch, permit, LEASE, PERMITS, self.now))
        assert found is is_given
        self.heard(news._replace(wait_ms=0))

    @rule(permit=st.sampled_from(NAMES), outcome=st.sampled_from(("passed", "passed", "failed", "nothing")))
    def settle(self, permit: str, outcome: ProbeOutcome) -> None:
        self.model.settle(permit, outcome, self.now)
        command = self.world.scripts.settle_probe("pay", permit, outcome, PERMITS, Reopening(RESET, MOST), self.now)
        self.heard(self.run(command))

    @rule(state=st.sampled_from(("open", "closed")), choice=st.integers(0, 1_000_000))
    def by_hand(self, state: Any, choice: int) -> None:
        self.model.openings = int(state == "open")
        self.model.change(state, self.now, self.now + 500 if state == "open" else self.now)
        hand = Hand("ann", operation=f"{choice}-{self.now}-{self.model.epoch}")
        command = self.world.scripts.set_breaker("pay", state, 500 if state == "open" else 0, hand, self.now)
        self.heard(self.run(command))
        self.run(command)

    @invariant()
    def the_server_holds_what_the_model_says(self) -> None:
        (figures,) = self.run(self.world.scripts.look_breakers(["pay"], self.now))
        model = self.model
        assert (figures.news.state, figures.news.epoch) == (model.state, model.epoch)
        assert (figures.openings, figures.passed) == (model.openings, model.passed)
        assert figures.permits == sum(ends > self.now for ends in model.permits.values())

    @invariant()
    def no_more_probes_are_under_way_than_there_are_permits(self) -> None:
        assert self.model.passed + sum(ends > self.now for ends in self.model.permits.values()) <= PERMITS

    @invariant()
    def epochs_only_grow(self) -> None:
        assert self.model.epoch >= self.last_epoch
        self.last_epoch = self.model.epoch

    @rule(data=st.data())
    def news_may_come_in_any_order(self, data: st.DataObject) -> None:
        standing = UNKNOWN
        for news in data.draw(st.permutations(self.news[-8:])):
            standing = heard(standing, news, 0.0)
        newest = max(self.news[-8:], key=lambda news: news.epoch, default=News(0, "closed", 0, ""))
        assert (standing.epoch, standing.state) == (newest.epoch, newest.state)


def test_a_breaker_does_what_the_model_says(world: World) -> None:
    class Machine(BreakerMachine):
        pass

    Machine.world = world
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
