"""The shape of the Lua files, and what the documentation says of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tidemill import job
from tidemill.wire import keys, record
from tidemill.wire.script import DIRECTORY, load, names
from tidemill.wire.scripts import Scripts

pytestmark = pytest.mark.once

FILES = sorted(DIRECTORY.glob("*.lua"))
PIECES = sorted((DIRECTORY / "lib").glob("*.lua"))
# Script-local words of one letter that name no field of a record.
HEADER_PARTS = ("KEYS", "ARGV", "returns")


def _name(path: Path) -> str:
    return path.stem


def _code(text: str) -> str:
    """Without comments."""
    return "\n".join(re.sub(r"--.*", "", line) for line in text.splitlines())


def _header(text: str) -> str:
    lines = text.splitlines()[1:]
    return "\n".join(line for line in lines[: next(i for i, line in enumerate(lines) if not line.startswith("--"))])


def _table(documentation: str | None) -> set[str]:
    """The first column of a module's table."""
    rows = re.findall(r"^\| (`.+?) \|", documentation or "", re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_script_begins_with_a_shebang_and_says_what_it_takes_and_returns(path: Path) -> None:
    text = path.read_text()
    assert re.match(r"#!lua( flags=[a-z,-]+)?\n-- \S", text)
    header = _header(text)
    for part in HEADER_PARTS:
        assert re.search(rf"^-- {part} ", header, re.MULTILINE), part


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_the_header_explains_every_key_and_argument_that_is_used(path: Path) -> None:
    text = path.read_text()
    header = _header(text)
    words = dict(
        zip(HEADER_PARTS, re.split(r"^-- (?:KEYS|ARGV|returns) ", header, flags=re.MULTILINE)[1:], strict=True)
    )
    for kind in ("KEYS", "ARGV"):
        explained = {int(number) for number in re.findall(r"(?:^|\s)(\d+)(?:\.\.)? ", words[kind])}
        used = {int(number) for number in re.findall(rf"{kind}\[(\d+)\]", _code(text))}
        assert used <= explained, (kind, used - explained)


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_the_server_is_asked_for_the_time_at_most_once(path: Path) -> None:
    code = _code(path.read_text())
    assert len(re.findall(r"\bclock\(", load(path.stem).text.replace("function clock(", ""))) <= 1
    assert "'TIME'" not in code


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_script_includes_what_it_uses_and_nothing_else(path: Path) -> None:
    include = re.search(r"^-- include: (.+)$", path.read_text(), re.MULTILINE)
    pieces = include.group(1).split() if include else []
    assert len(set(pieces)) == len(pieces)
    code = [_code((DIRECTORY / "lib" / f"{piece}.lua").read_text()) for piece in pieces] + [_code(path.read_text())]
    for index, text in enumerate(code[:-1]):
        made = re.findall(r"^local (?:function )?([\w, ]+?)(?: =|\()", text, re.MULTILINE)
        offered = [name.strip() for found in made for name in found.split(",")]
        later = "\n".join(code[index + 1 :])
        assert any(re.search(rf"\b{name}\b", later) for name in offered), f"{pieces[index]} is not used"


@pytest.mark.parametrize("path", [*FILES, *PIECES], ids=_name)
def test_no_number_is_joined_to_a_text_by_the_server(path: Path) -> None:
    """Lua writes a number of fifteen digits and more as 1e+15: times are passed as arguments, never concatenated."""
    for line in _code(path.read_text()).splitlines():
        for name in ("now", "due", "expires", "before", "soonest"):
            assert not re.search(rf"\.\. *{name}\b|\b{name} *\.\.", line), line


@pytest.mark.parametrize("path", [*FILES, *PIECES], ids=_name)
def test_an_add_is_never_tried_and_its_failure_ignored(path: Path) -> None:
    """But for counters, news, and the indexes of parked jobs and of those let in, which are no state."""
    tried = set(re.findall(r"pcall\('(XADD|ZADD|HSET|SET|HINCRBY|SADD)', ([^,]+)", _code(path.read_text())))
    allowed = {
        "count": {("HINCRBY", "root .. 'queue:' .. queue")},
        "event": {("XADD", "root .. 'events'")},
        "park": {("ZADD", "root .. 'parked:' .. ARGV[i + 5]")},
        "let_in": {("ZADD", "root .. 'called:' .. name")},
    }
    assert tried <= allowed.get(path.stem, set())


def test_the_transitions_are_the_scripts_that_write_a_state() -> None:
    writers = {name for name in names() if re.search(r"'HSET', [^\n]*'s',|'s', later", load(name).text)}
    assert writers == set(job.TRANSITIONS)


def test_the_drawing_of_the_state_machine_names_every_transition() -> None:
    drawing = (job.__doc__ or "").partition("Each verb is")[0]
    drawn = {word for word in re.findall(r"[a-z]+", drawing) if word in names()}
    assert drawn | {"tick"} == set(job.TRANSITIONS)  # tick is enqueue, by the clock


def test_every_script_has_a_method_of_its_name_and_every_file_is_loaded_by_it() -> None:
    for name in names():
        assert callable(getattr(Scripts, name)), name


def test_the_table_of_keys_explains_every_key_that_a_script_makes() -> None:
    explained = {re.sub(r"<.*", "", name) for name in _table(keys.__doc__)}
    text = "\n".join(path.read_text() for path in [*FILES, *PIECES])
    used = set(re.findall(r"root \.\. '([a-z]+:?)'", _code(text)))
    channels = {"alarm", "control", "waiter:"}
    assert used <= explained | channels
    assert channels <= {re.sub(r"<.*", "", name) for name in re.findall(r"`([^`]+)`", keys.__doc__ or "")}


def test_the_table_of_the_record_explains_every_field_that_a_script_touches_and_no_other() -> None:
    text = _code("\n".join(path.read_text() for path in [*FILES, *PIECES]))
    fields = set(re.findall(r"'([a-z]\d?|li|te)'", text))
    assert fields - {"j"} == _table(record.__doc__) - {"j"}
    assert "'j', now" in text  # `j` is also the field of a ticket
