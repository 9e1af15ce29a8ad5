"""Templates of applications with keys: contents are signed; what is not, or is not what was published, is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from templates.template_cases import STOCK, preheat, reference, sent, warm
from tidemill import CorruptRecord, Tidemill
from tidemill.templates.content import Content, encode_defaults
from tidemill.wire.command import Command
from tidemill.wire.envelope import Codec
from tidemill.wire.signing import Signable, is_signed

KEY, OTHER = b"k" * 32, b"o" * 32
MakeMill = Callable[..., Tidemill]


@pytest.fixture
def make(url: str) -> Iterator[MakeMill]:
    made: list[Tidemill] = []

    def make_mill(accept_unsigned: bool | None = None, **keys: bytes) -> Tidemill:
        made.append(Tidemill(url, signing_keys=keys or None, accept_unsigned=accept_unsigned))
        return made[-1]

    yield make_mill
    for mill in made:
        mill.close()


def content_of(mill: Tidemill, number: int = 1) -> bytes:
    found = mill.client.link.run(mill.client.scripts.read_template(STOCK, number))
    assert found is not None
    return found


def test_a_content_and_its_jobs_are_signed_and_read_by_who_has_the_key(make: MakeMill) -> None:
    declaring, by_name = make(a=KEY), make(b=OTHER, a=KEY)
    preheat(declaring, depth=3)
    assert is_signed(content_of(declaring))

    job = by_name.template(STOCK).enqueue(sku="A1", depth=3)

    record = job.refresh().record
    assert by_name.client.signing is not None
    signable = Signable(record.queue, record.task, record.id, record.options)
    payload = by_name.client.signing.verify(signable, record.body)
    assert isinstance(payload, bytes)
    assert by_name.client.codec.decode_call(payload) == ([], {"sku": "A1"})
    moved = signable._replace(options=record.options.replace(b"\x01", b"\x02", 1))
    assert not isinstance(by_name.client.signing.verify(moved, record.body), bytes), "the reference is signed"
    assert reference(job).number == 1


def test_who_has_no_key_reads_a_signed_content_by_its_digest(make: MakeMill) -> None:
    preheat(make(a=KEY), depth=3)
    plain = make()

    assert sent(plain, plain.template(STOCK).enqueue(sku="A1", depth=3)) == {"sku": "A1"}


@pytest.mark.parametrize("why", ["unsigned", "other key", "other template"])
def test_a_content_that_nobody_with_a_key_has_signed_for_this_template_is_refused(make: MakeMill, why: str) -> None:
    publisher = make() if why == "unsigned" else make(a=OTHER)
    if why == "other template":
        publisher = make(a=KEY)
        preheat(publisher, depth=3)
        publisher.template(
            "other", task=publisher.task(name="preheat", queue="warm", priority="high")(warm), defaults={"depth": 3}
        )
        forged = publisher.client.link.run(publisher.client.scripts.read_template("other", 1))
        assert forged is not None
        key = publisher.client.scripts.keys.content(STOCK, 1)
        publisher.client.link.run(_set(key, forged))
    else:
        preheat(publisher, depth=3)

    with pytest.raises(CorruptRecord, match=r"the content of template 'stock-preheat', version 1, is refused"):
        make(a=KEY).template(STOCK).enqueue(sku="A1")


def test_unsigned_contents_are_taken_while_signing_is_switched_on(make: MakeMill) -> None:
    preheat(make(), depth=3)
    switching = make(accept_unsigned=True, a=KEY)

    assert reference(switching.template(STOCK).enqueue(sku="A1")).number == 1


def test_a_content_that_is_not_what_was_published_under_the_number_is_refused(make: MakeMill) -> None:
    preheat(make(), depth=3)
    plain = make()
    other = Content("preheat", encode_defaults(Codec(), {"depth": 9})).pack()
    plain.client.link.run(_set(plain.client.scripts.keys.content(STOCK, 1), other))

    with pytest.raises(CorruptRecord, match="is not what was published under that number"):
        plain.template(STOCK).enqueue(sku="A1")


def test_the_first_key_signs_again_what_the_old_one_has_signed(make: MakeMill) -> None:
    preheat(make(a=KEY), depth=3)
    preheat(make(b=OTHER, a=KEY), depth=3)

    assert reference(make(b=OTHER).template(STOCK).enqueue(sku="A1")).number == 1


def test_what_is_not_signed_never_takes_the_place_of_what_is(make: MakeMill) -> None:
    preheat(make(a=KEY), depth=3)
    preheat(make(), depth=3)

    assert is_signed(content_of(make()))


def _set(key: str, value: bytes) -> Command[object]:
    return Command(("SET", key, value), lambda reply: reply)
