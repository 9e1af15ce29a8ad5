"""Hostile arguments: each script refuses them before its first write, or leaves a state that the rules of invariants.py
allow.

Keys are what a shard's method makes of validated names; arguments are taken from the valid calls of the tables, and
replaced, left out or added.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invariants import violations
from script_cases import ALL
from script_state import NOW, Case, State, World
from tidemill.errors import TidemillError
from tidemill.wire.command import Argument, Command
from tidemill.wire.keys import TYPES
from tidemill.wire.script import names

NUMBERS: Final = (b"", b"-1", b"0", b"1.5", b"1e400", b"inf", b"-inf", b"nan", b"0x10", b" 7", b"1" + 20 * b"0")
TEXTS: Final = (b"\0", b"a\nb", b"{}", b"{1}", b"\xff\xfe", b"x" * 1_000_000, b"-", b"*", b"1-1 2-2")
# Jobs and workers of the tables, so that one stands in another's place.
OTHERS: Final = (b"a", b"b", b"c", b"w1", b"w2", b"q")
# EVALSHA, the digest, the number of keys.
HEAD: Final = 3
# Longer by far than the longest call that is right takes, and below what makes a server answer BUSY.
MOST_SECONDS: Final = 4.0

# Which job a ticket belongs to is the word of the worker that was given it: to look it up would cost each job a
# command. So a row's id is not replaced by that of another job; for take, not at all. (first row, width, the id in it)
ROWS: Final = {
    "abandon": (6, 3, 0),
    "bury": (6, 4, 0),
    "complete": (6, 4, 0),
    "park": (6, 6, 0),
    "release": (2, 3, 0),
    "retry": (6, 5, 0),
    "take": (8, 3, 2),
}
# From here on, the commands of an application: they may write anything.
FIRST_COMMAND: Final = {"apply_effect": 6}
# What they write in the tables is named as if it were a lock.
APPLICATIONS_KEYS: Final = {"apply_effect": ("unique:stock", "unique:sold")}

# A server of a busy machine is not what is tested.
SLOW: Final = [HealthCheck.too_slow, HealthCheck.data_too_large]

places = st.lists(st.tuples(st.integers(0, 1_000), st.sampled_from(NUMBERS + TEXTS + OTHERS)), min_size=1, max_size=3)
lengths = st.one_of(st.none(), st.integers(-4, 3).filter(bool))


@pytest.mark.parametrize("script", names())
def test_hostile_arguments_are_refused_or_leave_a_state_that_is_allowed(world: World, script: str) -> None:
    @settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=SLOW)
    @given(st.sampled_from(_cases(script)), places, lengths)
    def attack(case: Case, replaced: list[tuple[int, bytes]], length: int | None) -> None:
        world.replace(case.before)
        _attack(world, case, replaced, length)

    attack()


@pytest.mark.parametrize("script", names())
def test_each_argument_in_turn_may_be_no_number_or_be_missing(world: World, script: str) -> None:
    for case in _cases(script):
        world.replace(case.before)
        words = case.call(world).words
        for place in range(len(words) - HEAD - int(words[2])):
            world.replace(case.before)
            _attack(world, case, [(place, b"nan")], None)
            world.replace(case.before)
            _attack(world, case, [], -1 - place)


def _cases(script: str) -> list[Case]:
    return [case for case in ALL if case.script == script]


def _attack(world: World, case: Case, replaced: list[tuple[int, bytes]], length: int | None) -> None:
    command = case.call(world)
    words = _hostile(case.script, command.words, replaced, length)
    before = _state(world, case.script)
    began = _cpu_seconds(world)
    was_refused = _is_refused(world, words, command)
    assert _cpu_seconds(world) - began < MOST_SECONDS, "the server was busy"
    state = _state(world, case.script)
    assert _wrong(state) <= _wrong(before), (words, str(case))
    _assert_documented(world, state)
    if was_refused:
        assert _records(state) == _records(before), (words, str(case))


def _cpu_seconds(world: World) -> float:
    """The server's own: on a busy machine it waits too."""
    used = world.client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def _is_refused(world: World, words: Sequence[Argument], command: Command[Any]) -> bool:
    try:
        world.run(Command(tuple(words), lambda reply: reply, command.script))
    except TidemillError:
        return True
    return False


def _hostile(
    script: str, words: Sequence[Argument], replaced: list[tuple[int, bytes]], length: int | None
) -> list[Argument]:
    """The call with some arguments replaced, and `length` added or (negative) left out at its end."""
    first = HEAD + int(words[2])
    keys, arguments = words[:first], list(words[first:])
    open_to = min(len(arguments), FIRST_COMMAND.get(script, len(arguments) + 1) - 1)
    for place, value in replaced:
        if open_to and _may_stand(script, place % open_to + 1, value):
            arguments[place % open_to] = value
    if length is not None and length < 0:
        del arguments[length:]
    return [*keys, *arguments, *[b"x"] * max(0, length or 0)]


def _may_stand(script: str, number: int, value: bytes) -> bool:
    if script not in ROWS:
        return True
    first, width, place_of_id = ROWS[script]
    is_id = number >= first and (number - first) % width == place_of_id
    return not is_id or (script != "take" and value not in OTHERS)


def _state(world: World, script: str) -> State:
    """All but the application's keys. A key that is no text is renamed to how `World` reads it in other places."""
    for key in list(world.client.scan_iter(count=1_000)):
        if key != key.decode(errors="ignore").encode():
            world.client.rename(key, key.decode("latin-1"))
    return {key: value for key, value in world.dump().items() if key not in APPLICATIONS_KEYS.get(script, ())}


def _wrong(state: State) -> set[str]:
    """What is wrong, and with whom; how it looks in detail may change."""
    sound = {key: value for key, value in state.items() if _is_sound(key, value)}
    return {re.split(r": \{|, which |, but |'s? at ", found)[0] for found in violations(sound, NOW)}


def _is_sound(key: str, value: Any) -> bool:
    """Whether it can be judged: some tables begin with keys and records that no Tidemill wrote."""
    kind = key.partition(":")[0]
    if kind == "job":
        return not isinstance(value, str) and {"s", "q"} <= value.keys() and value.get("n", "0").isdigit()
    return isinstance(value, dict) or kind not in ("wheel", "dead", "done", "parked", "agenda", "expiring")


def _records(state: State) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key.partition(":")[0] in ("job", "unique")}


def _assert_documented(world: World, state: State) -> None:
    """Names may be hostile (Python validates them); what stands before them, and the types, may not change."""
    prefixes = {name.partition("<")[0]: kind for name, kind in TYPES.items()}
    for key in state:
        head, colon, _ = key.partition(":")
        kind = world.client.type(world.keys.root + key).decode()
        assert kind in (prefixes.get(head + colon), "string", "none"), key
