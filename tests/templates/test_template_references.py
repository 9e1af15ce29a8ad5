"""How a job says of which version it is: first among its options, found without reading them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill import Retry
from tidemill.errors import CorruptRecord
from tidemill.options import Options
from tidemill.templates.reference import Reference, is_template, read, shown, write
from tidemill.wire import envelope

REFERENCES = st.builds(
    Reference,
    name=st.from_regex(r"[a-z0-9_.-]{1,64}", fullmatch=True),
    number=st.integers(1, 2**53),
    digest=st.binary(min_size=8, max_size=8),
    is_late=st.booleans(),
)
CARRIED = st.dictionaries(
    st.from_regex(r"[a-z_]{4,12}", fullmatch=True), st.integers(0, 9) | st.booleans(), max_size=14
)
ONE = Reference("stock", 3, b"12345678", is_late=False)


@given(REFERENCES, CARRIED)
def test_a_reference_is_read_as_it_was_written(reference: Reference, carried: dict[str, object]) -> None:
    options = write(reference, envelope.pack(carried) if carried else b"")

    assert is_template(options)
    assert read(options) == (reference, carried)


def test_the_options_that_using_makes_stay_behind_it() -> None:
    carried = Options().using({"retry": Retry(max_attempts=7), "timeout": 5, "critical": True}).carried

    reference, others = read(write(ONE, carried))

    assert reference == ONE
    assert others == envelope.unpack(carried)


def test_a_whole_digest_is_cut() -> None:
    assert read(write(ONE._replace(digest=bytes(range(16))), b""))[0].digest == bytes(range(8))


@pytest.mark.parametrize("options", [b"", b"\x80", Options().using({"critical": True}).carried, b"\x81\xa3tp"])
def test_other_options_are_none_of_a_template(options: bytes) -> None:
    assert not is_template(options)


@pytest.mark.parametrize(
    "parts",
    [
        "stock",
        [],
        ["stock", 3],
        ["stock", 3, b"1234567"],
        ["stock", 3, "12345678"],
        ["stock", 0, b"12345678"],
        ["stock", True, b"12345678"],
        ["stock", 2**53 + 1, b"12345678"],
        ["No Name", 3, b"12345678"],
        ["stock", 3, b"12345678", 2],
        ["stock", 3, b"12345678", 1, 1],
    ],
)
def test_a_reference_that_no_tidemill_wrote_is_corrupt(parts: object) -> None:
    with pytest.raises(CorruptRecord, match="reference to its template"):
        read(envelope.pack({"tpl": parts}))


@given(st.binary(max_size=40), st.integers(0, 40))
def test_damaged_options_are_a_reference_or_corrupt(noise: bytes, place: int) -> None:
    written = write(ONE, b"")
    for damaged in (noise, written[:place] + noise, b"\x81\xa3tpl" + noise):
        try:
            assert read(damaged)[0].number > 0
        except CorruptRecord:
            continue


def test_options_that_are_no_small_map_are_refused() -> None:
    with pytest.raises(CorruptRecord, match="small map"):
        write(ONE, envelope.pack({f"option{n}": n for n in range(15)}))


def test_a_reference_is_shown_to_people() -> None:
    assert shown(write(ONE, b"")) == "stock, version 3"
    assert shown(write(ONE._replace(is_late=True), b"")) == "stock, written for version 3, chosen at the start"
    assert shown(Options().using({"critical": True}).carried) is None
    assert "is not name, number and digest" in str(shown(envelope.pack({"tpl": [1]})))
