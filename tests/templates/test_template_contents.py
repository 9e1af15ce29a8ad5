"""What a version's content is as bytes: the same in every process, and refused when no Tidemill wrote it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import CorruptRecord, PayloadTooLarge
from tidemill.templates.content import Content, digest_of, encode_defaults, read
from tidemill.wire import envelope
from tidemill.wire.canonical import canonical
from tidemill.wire.envelope import MAX_PAYLOAD_BYTES, Codec

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
CONTENTS = st.builds(
    Content,
    task=st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    defaults=st.binary(max_size=40),
    queue=st.none() | st.from_regex(r"[a-z0-9_.-]{1,20}", fullmatch=True),
    priority=st.sampled_from(["high", "normal", "low"]),
    expires_ms=st.none() | st.integers(1, 10**9),
    result_ttl_ms=st.none() | st.integers(0, 10**9),
    carried=st.binary(max_size=20),
    schema=st.none() | st.dictionaries(st.text(max_size=3), PLAIN, min_size=1, max_size=3),
)
SETS = """
from tidemill.templates.content import Content, digest_of, encode_defaults
from tidemill.wire.envelope import Codec
words = {"nested": [(frozenset({"a", "b", "c"}), {"x", "y", "z"})], "bare": {frozenset({"d", "e"}), frozenset({"f"})}}
print(digest_of(Content("t", encode_defaults(Codec(), words)).pack()).hex())
"""


@dataclass(frozen=True)
class Tags:
    names: frozenset[str]


@given(CONTENTS)
def test_a_content_is_read_as_it_was_packed(content: Content) -> None:
    assert read("stock", content.pack()) == content


@given(CONTENTS, CONTENTS)
def test_contents_have_one_digest_only_if_they_are_equal(one: Content, other: Content) -> None:
    assert (digest_of(one.pack()) == digest_of(other.pack())) == (one == other)
    assert len(digest_of(one.pack())) == 16


def test_the_order_of_defaults_changes_nothing() -> None:
    codec = Codec()

    assert encode_defaults(codec, {"a": 1, "b": 2}) == encode_defaults(codec, {"b": 2, "a": 1})
    assert codec.decode_call(encode_defaults(codec, {"b": 2, "a": 1})) == ([], {"a": 1, "b": 2})


def test_sets_have_the_same_digest_in_every_process() -> None:
    """A set of texts has another order in each process; a version for each restart would be the end."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", SETS],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in range(1, 5)
    }

    assert len(digests) == 1


def test_canonical_bytes_are_of_the_same_values() -> None:
    codec = Codec()
    codec.carry(Tags)
    words: dict[str, object] = {
        "tags": Tags(frozenset({"b", "a"})),
        "pair": (timedelta(seconds=1), [b"\xd7", {1: {"x"}}]),
        "of_pairs": {(1, 2): 0.5},
    }

    assert codec.decode_call(canonical(codec.encode_call((), words))) == ([], words)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\xc1", "can't be read"),
        (envelope.pack([1]), "it is a list, not a map"),
        (envelope.pack({"defaults": b""}), "task name None"),
        (envelope.pack({"task": "t", "defaults": "text"}), "defaults is a str, not bytes"),
        (envelope.pack({"task": "t", "defaults": b"", "priority": "urgent"}), "priority 'urgent'"),
        (envelope.pack({"task": "t", "defaults": b"", "priority": "low", "queue": "A B"}), "queue name 'A B'"),
        (envelope.pack({"task": "t", "defaults": b"", "priority": "low", "expires_ms": True}), "expires_ms"),
        (envelope.pack({"task": "t", "defaults": b"", "priority": "low", "colour": 1}), "update workers before"),
        (envelope.pack({"task": "t", "defaults": b"", 3: 1}), "field '3' is not known"),
    ],
)
def test_what_no_tidemill_wrote_is_refused_with_the_reason(data: bytes, what: str) -> None:
    with pytest.raises(CorruptRecord, match=what) as caught:
        read("stock", data)

    assert "template 'stock'" in str(caught.value)


@given(st.binary(max_size=60), CONTENTS, st.data())
def test_damaged_bytes_are_a_content_or_corrupt(noise: bytes, content: Content, data: st.DataObject) -> None:
    packed = content.pack()
    place = data.draw(st.integers(0, len(packed)))
    for damaged in (noise, packed[:place] + noise, packed[:place] + noise + packed[place:]):
        try:
            assert isinstance(read("stock", damaged), Content)
        except CorruptRecord:
            continue


def test_defaults_that_are_too_large_are_refused_with_both_sizes() -> None:
    content = Content("t", b"x" * MAX_PAYLOAD_BYTES)

    with pytest.raises(PayloadTooLarge, match=r"these defaults can't be published.*over the limit of"):
        content.pack()
    assert read("stock", replace(content, defaults=b"x" * 200_000).pack()).defaults == b"x" * 200_000
