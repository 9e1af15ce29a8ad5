"""Worlds with faults, decided by a seed: nothing is lost, nothing starts early, nothing ends twice, nothing is left."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from servers import Server
from simulation.campaign import Outcome, run_seeds
from tidemill.job import TRANSITIONS

# On a busy machine the seeds take minutes.
pytestmark = pytest.mark.timeout(360)

SEEDS = 120

# What must have happened somewhere in these worlds: a branch that no seed reaches is not tested.
ALWAYS_REACHED = frozenset(
    {
        "the request is lost",
        "the reply is lost",
        "already there",
        "settlement repeated",
        "fenced",
        "zombie refused",
        "lease lost",
        "worker died",
        "paused past the lease",
        "clock jumped",
        "server restarted",
        "reaper waited",
        "stray taken again",
        "suspect put off",
        "reader not heard",
        "cancelled while running",
        "unique key held",
        "queue full",
        "record damaged",
        "read served to a dead worker",
        "group destroyed",
        "script loaded",
    }
)
# Arrows that need a coincidence are reached by `make simulate`, not by every choice of as few seeds as these.
RARE_ARROWS = frozenset({"park: running → cancelled", "bury: running → cancelled", "requeue: dead → ready"})
# A limit refuses a job: limits have histories of their own, in tests/properties.
LIMITED_ARROWS = frozenset({"take: ready → scheduled"})

# The doctor's repair: no world calls a doctor. And what is for limits alone.
NOT_PLAYED = frozenset({"reinstate", "admit"})


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Faults are what this is about: what is logged of them would fill the disk."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def outcome() -> Iterator[Outcome]:
    """Of the seeds of the test suite, on a server of their own."""
    server = Server()
    try:
        yield run_seeds(server.url, range(SEEDS))
    finally:
        server.close()


def test_no_seed_breaks_an_invariant(outcome: Outcome) -> None:
    for seed, (violation, history) in outcome.violations.items():
        pytest.fail("\n".join([*history, f"seed {seed}: {violation}"]))
    assert outcome.seeds == SEEDS


def test_the_worlds_reach_every_branch_that_the_invariants_are_about(outcome: Outcome) -> None:
    assert {name for name in ALWAYS_REACHED if not outcome.sometimes[name]} == set()


def test_the_worlds_draw_every_arrow_of_the_state_machine(outcome: Outcome) -> None:
    arrows = {
        f"{script}: {before or 'new'} → {after}"
        for script, pairs in TRANSITIONS.items()
        if script not in NOT_PLAYED
        for before, after in pairs
    }
    assert {arrow for arrow in arrows - RARE_ARROWS - LIMITED_ARROWS if not outcome.sometimes[arrow]} == set()


def test_a_seed_decides_everything(url: str, outcome: Outcome) -> None:
    again = run_seeds(url, range(5))
    assert again.digests == {seed: outcome.digests[seed] for seed in range(5)}


def test_a_seed_decides_everything_on_every_server(url: str) -> None:
    """The history does not depend on which server it is."""
    server = Server("valkey")
    try:
        assert run_seeds(server.url, range(10)).digests == run_seeds(url, range(10)).digests
    finally:
        server.close()
