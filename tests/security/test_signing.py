"""The signed envelope by itself: what a signature binds, and how keys are read."""

from __future__ import annotations

import base64
import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill import Tidemill
from tidemill.errors import InvalidInput
from tidemill.wire.envelope import MAX_PAYLOAD_BYTES, pack
from tidemill.wire.signing import (
    EXPIRY_TOLERANCE_MS,
    MAC_BYTES,
    MAX_OVERHEAD_BYTES,
    Refusal,
    Signable,
    Signing,
    is_signed,
    parse_keys,
    signing_of,
)

pytestmark = pytest.mark.once

OLD, NEW = b"o" * 32, b"n" * 32
JOB = Signable("images", "images.thumbnail", "0KJH2J3H4J5H6", b"\x81\xaatimeout_ms\xcd\x03\xe8")
PAYLOAD = pack([["cat.jpg"], {"size": 64}])
NOW_S = 1_800_000_000.0


def signing(*keys: str, prefix: str = "tm", now_s: float = NOW_S, accept_unsigned: bool = False) -> Signing:
    known = {"new": NEW, "old": OLD, "forged": b"f" * 32}
    return Signing(
        {name: known[name] for name in keys or ("new",)},
        prefix,
        accept_unsigned=accept_unsigned,
        clock=lambda: now_s,
    )


def why(found: bytes | Refusal) -> str:
    return found.why if isinstance(found, Refusal) else "accepted"


def test_a_signed_body_gives_its_payload_back() -> None:
    body = signing().sign(JOB, PAYLOAD)
    assert is_signed(body)
    assert not is_signed(PAYLOAD)
    assert signing().verify(JOB, body) == PAYLOAD
    assert len(body) - len(PAYLOAD) == 4 + len("new") + MAC_BYTES


def test_the_format_is_fixed() -> None:
    """Bodies live as long as delayed jobs: a release that reads them otherwise would refuse a backlog."""
    body = signing().sign(JOB, PAYLOAD, 60_000)
    assert body[:15].hex() == "c10102036e6577000001a3185d3a60"
    assert body[15:31].hex() == "20d7083fe93808c0b98d66051ec6052f"
    assert body[31:] == PAYLOAD


@pytest.mark.parametrize(
    "changed",
    [
        JOB._replace(queue="other"),
        JOB._replace(task="images.delete_all"),
        JOB._replace(job_id="another"),
        JOB._replace(options=b""),
        JOB._replace(queue="image", task="simages.thumbnail"),
        JOB._replace(queue="", task="imagesimages.thumbnail"),
    ],
)
def test_a_body_is_accepted_for_its_own_job_alone(changed: Signable) -> None:
    assert why(signing().verify(changed, signing().sign(JOB, PAYLOAD))) == "mac"


def test_a_body_is_accepted_below_its_own_prefix_alone() -> None:
    assert why(signing(prefix="staging").verify(JOB, signing(prefix="tm").sign(JOB, PAYLOAD))) == "mac"


def test_every_flipped_bit_is_refused() -> None:
    body = signing().sign(JOB, PAYLOAD, 60_000)
    for position in range(len(body) * 8):
        damaged = bytearray(body)
        damaged[position // 8] ^= 1 << position % 8
        assert isinstance(signing().verify(JOB, bytes(damaged)), Refusal), position


def test_every_truncation_is_refused() -> None:
    body = signing().sign(JOB, PAYLOAD, 60_000)
    for end in range(len(body)):
        assert isinstance(signing().verify(JOB, body[:end]), Refusal), end


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (PAYLOAD, "unsigned"),
        (b"", "unsigned"),
        (b"\xc1", "malformed"),
        (b"\xc1\x02\x00\x03new" + bytes(16), "malformed"),
        (b"\xc1\x01\x04\x03new" + bytes(16), "malformed"),
        (b"\xc1\x01\x00\xffnew" + bytes(16), "malformed"),
        (b"\xc1\x01\x00\x03\xff\xff\xff" + bytes(16), "key"),
        (b"\xc1\x01\x00\x00" + bytes(16), "key"),
        (b"\xc1\x01\x00\x03new" + bytes(16), "mac"),
        (signing("forged").sign(JOB, PAYLOAD), "key"),
        (signing().sign(JOB, bytes(MAX_PAYLOAD_BYTES + MAX_OVERHEAD_BYTES)), "malformed"),
    ],
)
def test_what_no_holder_of_a_key_has_signed_is_refused_by_name(body: bytes, expected: str) -> None:
    assert why(signing().verify(JOB, body)) == expected


def test_a_known_key_id_over_another_key_is_refused() -> None:
    impostor = Signing({"new": b"f" * 32}, "tm")
    assert why(signing().verify(JOB, impostor.sign(JOB, PAYLOAD))) == "mac"


def test_while_keys_rotate_both_are_accepted_and_afterwards_the_old_is_refused() -> None:
    before, between, afterwards = signing("old"), signing("new", "old"), signing("new")
    assert between.verify(JOB, before.sign(JOB, PAYLOAD)) == PAYLOAD
    assert between.verify(JOB, between.sign(JOB, PAYLOAD)) == PAYLOAD
    assert afterwards.verify(JOB, between.sign(JOB, PAYLOAD)) == PAYLOAD
    assert why(afterwards.verify(JOB, before.sign(JOB, PAYLOAD))) == "key"


def test_an_expiry_can_be_neither_outlived_nor_removed() -> None:
    body = signing().sign(JOB, PAYLOAD, 60_000)
    late_s = NOW_S + 60 + EXPIRY_TOLERANCE_MS / 1000
    assert signing(now_s=late_s).verify(JOB, body) == PAYLOAD
    assert why(signing(now_s=late_s + 0.002).verify(JOB, body)) == "expired"
    plain = b"\xc1\x01\x00" + body[3:7] + body[15:]
    assert why(signing(now_s=late_s + 1).verify(JOB, plain)) == "mac"


def test_the_body_of_a_recurring_job_is_accepted_for_its_occurrences_alone() -> None:
    body = signing().sign_recurring("nightly", JOB, PAYLOAD)
    for job_id, expected in [
        ("every:nightly:1800000000000", "accepted"),
        ("every:hourly:1800000000000", "mac"),
        ("every:nightly:", "mac"),
        ("every:nightly:x", "mac"),
        ("nightly", "mac"),
        (JOB.job_id, "mac"),
    ]:
        assert why(signing().verify(JOB._replace(job_id=job_id), body)) == expected, job_id
    occurrence = JOB._replace(job_id="every:nightly:1")
    assert why(signing().verify(occurrence._replace(task="other"), body)) == "mac"
    assert why(signing().verify(JOB._replace(job_id="nightly"), signing().sign(occurrence, PAYLOAD))) == "mac"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 4))
def test_any_bytes_are_refused_by_name(noise: bytes, kept: int) -> None:
    start = signing().sign(JOB, PAYLOAD)[:kept]
    assert isinstance(signing().verify(JOB, start + noise), Refusal)


def test_splices_of_two_signed_bodies_are_refused() -> None:
    other = JOB._replace(job_id="another")
    one, two = signing().sign(JOB, PAYLOAD), signing().sign(other, b"\x92\x91\xa7dog.jpg\x80")
    dice = random.Random(7)
    for _ in range(500):
        spliced = one[: dice.randrange(1, len(one))] + two[dice.randrange(len(two)) :]
        if spliced not in (one, two):
            assert isinstance(signing().verify(JOB, spliced), Refusal)


SECRET = base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "part 1 has no colon"),
        (SECRET, "part 1 has no colon"),
        (f"a:{SECRET},", "part 2 has no colon"),
        (f"a:{SECRET[:-2]}", "the key of part 1 is not base64"),
        ("a:käse", "the key of part 1 is not base64"),
        (f"a:{SECRET},a:{SECRET}", "parts have the same id"),
        (f"a:{SECRET},b:{SECRET},c:{SECRET}", "1 to 2 signing keys, not 3"),
        (f"a:{base64.b64encode(b'k' * 31).decode()}", "signing key 1 has 31 bytes, which is too short"),
        (f"a b:{SECRET}", "the id of signing key 1 is not valid"),
        (f":{SECRET}", "the id of signing key 1 is not valid"),
        (f"{'x' * 17}:{SECRET}", "the id of signing key 1 is not valid"),
    ],
)
def test_wrong_keys_are_refused_and_no_part_of_them_is_repeated(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_SIGNING_KEYS", text)
    with pytest.raises(InvalidInput, match=message) as refused:
        Tidemill("redis://nowhere.invalid")
    shown = f"{refused.value!r} {refused.value.__context__!r} {refused.value.__cause__!r}"
    for encoded in (part.rpartition(":")[2] for part in text.split(",")):
        assert len(encoded) < 4 or encoded not in shown


@pytest.mark.parametrize("keys", [{}, {"a": b"short"}, {"a": "k" * 32}, {1: b"k" * 32}])
def test_keys_that_are_no_keys_are_refused(keys: dict[str, bytes]) -> None:
    with pytest.raises(InvalidInput, match="signing key"):
        Tidemill("redis://nowhere.invalid", signing_keys=keys)


def test_keys_come_from_the_argument_then_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert signing_of(None, None, "tm") is None
    monkeypatch.setenv("TIDEMILL_SIGNING_KEYS", f"env:{SECRET}, older:{SECRET}")
    assert repr(signing_of(None, None, "tm")) == "<Signing with env, older>"
    assert repr(signing_of(f"arg:{SECRET}", None, "tm")) == "<Signing with arg>"
    assert repr(signing_of({"map": NEW}, None, "tm")) == "<Signing with map>"


@pytest.mark.parametrize(
    ("text", "expected"), [("1", "accepted"), ("true", "accepted"), ("0", "unsigned"), ("", "unsigned")]
)
def test_unsigned_jobs_are_accepted_only_if_the_environment_says_so(
    text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_ACCEPT_UNSIGNED", text)
    found = signing_of({"new": NEW}, None, "tm")
    assert found is not None
    assert why(found.verify(JOB, PAYLOAD)) == expected
    assert why(found.verify(JOB, b"\xc1" + PAYLOAD)) != "accepted"


def test_a_word_that_is_neither_yes_nor_no_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_ACCEPT_UNSIGNED", "perhaps")
    with pytest.raises(InvalidInput, match="must be 1 or 0, not 'perhaps'"):
        signing_of({"new": NEW}, None, "tm")


def test_keys_are_read_in_order() -> None:
    assert list(parse_keys(f"b:{SECRET},a:{SECRET}")) == ["b", "a"]


def test_a_key_is_in_no_repr() -> None:
    key = os.urandom(32)
    mill = Tidemill("redis://nowhere.invalid", signing_keys={"k": key})
    for thing in (mill, mill.client, mill.client.signing, vars(mill)):
        assert repr(key)[2:-1] not in repr(thing)
        assert key.hex() not in repr(thing)
