"""Every script as a table (tests/script_cases): the whole state in, one call, the whole state out, and the reply."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from script_cases import ALL
from script_state import Case, World
from servers import Server


@pytest.fixture
def world(server: Server, url: str) -> Iterator[World]:
    found = World(server)
    yield found
    found.close()


@pytest.mark.parametrize("case", ALL, ids=str)
def test_a_script_turns_one_state_into_another(world: World, case: Case) -> None:
    world.replace(case.before)
    assert world.dump() == case.before
    world.listen()
    reply = world.run(case.call(world))
    assert world.dump() == case.after
    assert reply == case.reply
    assert world.heard() == case.published
