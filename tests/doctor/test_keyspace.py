"""Which key is which."""

from __future__ import annotations

import re

import pytest

from tidemill.doctor.findings import WORDS, Kind
from tidemill.doctor.keyspace import identify
from tidemill.wire import keys


def test_the_types_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \|", keys.__doc__ or "", re.MULTILINE)
    assert dict(rows) == keys.TYPES


@pytest.mark.parametrize(
    ("key", "family", "name"),
    [
        ("job:every:nightly:1800000000000", "job", "every:nightly:1800000000000"),
        ("ready:images:high", "ready", "images"),
        ("wheel:a.b_c-d", "wheel", "a.b_c-d"),
        ("parked:app.tasks.resize", "parked", "app.tasks.resize"),
        ("unique:0123456789abcdef0123456789abcdef", "unique", "0123456789abcdef0123456789abcdef"),
        ("worker:1m7ygs92jqkawch5hx3kz", "worker", "1m7ygs92jqkawch5hx3kz"),
        ("agenda", "agenda", ""),
        ("templates", "templates", ""),
        ("template:stock-preheat", "template", "stock-preheat"),
        ("content:stock-preheat:12", "content", "stock-preheat"),
        ("hot:20833", "hot", "20833"),
    ],
)
def test_a_key_of_the_table_is_known(key: str, family: str, name: str) -> None:
    known = identify(key)
    assert known is not None
    assert (known.family, known.name) == (family, name)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "mine",
        "job",
        "job:",
        "agenda:x",
        "ready:images",
        "ready:images:urgent",
        "wheel:A",
        "wheel:a:b",
        "unique:short",
        "template:A",
        "content:a",
        "content:a:0",
        "hot:today",
    ],
)
def test_any_other_key_is_not(key: str) -> None:
    assert identify(key) is None


def test_every_kind_has_its_words() -> None:
    assert set(WORDS) == set(Kind)
    for words in WORDS.values():
        assert words.seen
        assert words.repair or words.left
