"""Every script as a table (tests/script_cases): the whole state in, one call, the whole state out, and the reply.

The same tables are run again under faults: memory that is full, keys of a foreign type, calls that are repeated.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from script_cases import ALL
from script_state import Case, State, World, without_place
from tidemill.errors import QueueFull, TidemillError
from tidemill.job import TRANSITIONS, JobState
from tidemill.wire.script import load, names

# A second call of these does the next portion. The others are sent again when a reply was lost, and do nothing then.
PORTIONS = frozenset({"take", "promote", "recover", "expire", "shed", "sweep", "adopt", "readmit"})
# Figures, in which what is counted twice does not matter.
COUNTS = frozenset({"report_uses"})
REPEATABLE = frozenset(names()) - PORTIONS - COUNTS
# They make new work or figures of it, or write what an application wants written: a full server refuses them.
REFUSED_WHEN_FULL = frozenset({"enqueue", "requeue", "declare", "apply_effect", "publish_template", "report_uses"})


@pytest.mark.parametrize("case", ALL, ids=str)
def test_a_script_turns_one_state_into_another(world: World, case: Case) -> None:
    world.replace(case.before)
    assert world.dump() == case.before
    world.listen()
    reply = world.run(case.call(world))
    assert world.dump() == case.after
    assert reply == case.reply
    assert world.heard() == case.published


@pytest.mark.parametrize("case", [case for case in ALL if case.script in REPEATABLE], ids=str)
def test_a_call_that_is_sent_again_changes_nothing_more(world: World, case: Case) -> None:
    world.replace(case.before)
    command = case.call(world)
    world.run(command)
    world.run(command)
    assert world.dump() == case.after


@pytest.mark.parametrize("case", [case for case in ALL if case.script not in REFUSED_WHEN_FULL], ids=str)
def test_a_server_without_memory_can_be_drained(world: World, case: Case) -> None:
    world.replace(case.before)
    command = case.call(world)
    with world.without_memory():
        reply = world.run(command)
    assert world.dump() == case.after
    assert reply == case.reply


@pytest.mark.parametrize("case", [case for case in ALL if case.script in REFUSED_WHEN_FULL], ids=str)
def test_a_server_without_memory_refuses_new_work_and_nothing_changes(world: World, case: Case) -> None:
    world.replace(case.before)
    command = case.call(world)
    with world.without_memory(), pytest.raises(QueueFull, match="maxmemory"):
        world.run(command)
    assert world.dump() == case.before


@pytest.mark.parametrize("case", [case for case in ALL if case.script != "take"], ids=str)
def test_a_key_of_a_foreign_type_leaves_no_record_half_written(world: World, case: Case) -> None:
    """For each key in turn. A script that raises has changed no record and no lock, and can be called again."""
    for key in _places(case):
        world.replace(case.before)
        command = case.call(world)
        world.write_foreign(key)
        try:
            world.run(command)
        except TidemillError:
            assert _records(world.dump()) == _records(case.before), key
            world.write(key, case.before.get(key))
            world.run(command)
            assert world.dump() == case.after, key
        else:
            if key.startswith(("ready:", "limit", "line:", "permits:", "tenant:")):
                continue  # what can't be read makes room for others in a page, and holds nothing back
            for name, value in _records(world.dump()).items():
                assert value in (case.before.get(name), case.after.get(name)), (key, name)


@pytest.mark.parametrize("case", [case for case in ALL if case.script == "take"], ids=str)
def test_a_take_that_fails_on_a_key_of_a_foreign_type_loses_no_job(world: World, case: Case) -> None:
    """What it took before it failed is pending at its worker, which looks for such jobs when it comes back."""
    for key in _places(case):
        if key.startswith(("ready:", "tenant:")):
            continue  # its tickets are gone with it
        world.replace(case.before)
        command = case.call(world)
        world.write_foreign(key)
        with contextlib.suppress(TidemillError):
            world.run(command)
        assert without_place(world.dump()) <= without_place({**case.before, key: "foreign"}), key


@pytest.mark.parametrize("case", ALL, ids=str)
def test_a_record_of_a_foreign_type_stops_no_script(world: World, case: Case) -> None:
    for key in _records(case.before):
        world.replace(case.before)
        command = case.call(world)
        world.write_foreign(key)
        world.run(command)


def _is_record(key: str) -> bool:
    return key.startswith("job:")


def _places(case: Case) -> list[str]:
    """The keys that a case touches, but for its records and locks."""
    return sorted(key for key in {**case.before, **case.after} if key not in _records({**case.before, **case.after}))


def _records(state: State) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key.partition(":")[0] in ("job", "unique")}


@pytest.mark.once
@pytest.mark.parametrize("case", ALL, ids=str)
def test_no_script_leaves_a_job_without_its_place(case: Case) -> None:
    assert without_place(case.after) <= without_place(case.before)


def test_every_script_has_its_table() -> None:
    assert {case.script for case in ALL} == set(names())
    assert len({str(case) for case in ALL}) == len(ALL), "two cases of one name"


def test_the_tables_go_through_every_arrow_of_the_state_machine_and_no_other() -> None:
    seen: dict[str, set[tuple[str | None, str]]] = {}
    for case in ALL:
        for key in filter(_is_record, case.after):
            was, became = _state(case.before.get(key)), _state(case.after[key])
            if became is not None and was != became:
                seen.setdefault(case.script, set()).add((was, became))
    # Not arrows: a record that another hand spoiled was that of a ready job; and a job that this worker took, but whose
    # reply was lost, has not started, so take may end it or hand it back as if it were ready.
    seen["take"] -= {(None, "dead"), ("flying\n", "dead"), ("running", "cancelled"), ("running", "ready")}
    seen["take"] |= {("ready", "dead")}
    # Whoever frees a limit does what `admit` does for those that wait for it.
    for script in ("complete", "retry", "park", "bury", "recover", "take"):
        seen[script].discard(("scheduled", "ready"))
    assert seen == {script: set(arrows) for script, arrows in TRANSITIONS.items()}


def _state(record: Any) -> str | None:
    return None if record is None or isinstance(record, str) else record.get("s")


def test_scripts_that_drain_may_run_without_memory_and_those_that_make_work_may_not() -> None:
    for name in names():
        flags = load(name).text.partition("\n")[0]
        assert ("allow-oom" in flags) is (name not in REFUSED_WHEN_FULL), name


def test_every_state_is_reached() -> None:
    assert {state for arrows in TRANSITIONS.values() for _, state in arrows} == set(JobState)
