"""When which version may have been the newest."""

from __future__ import annotations

from scenarios.editions import Editions

THREE = Editions([(10.0, 10.5), (20.0, 20.5), (30.0, 30.5)])


def test_a_version_is_the_newest_from_its_publication_to_the_next() -> None:
    assert not THREE.could_be_newest(2, 19.0, 19.9)
    assert THREE.could_be_newest(2, 19.0, 20.1), "it may have been there before the answer"
    assert THREE.could_be_newest(2, 30.4, 40.0), "the next one may not have been there before its answer"
    assert not THREE.could_be_newest(2, 30.6, 40.0)
    assert THREE.could_be_newest(3, 99.0, 99.0)


def test_how_long_it_was_superseded_is_never_too_much() -> None:
    assert THREE.superseded_seconds(1, 20.2) == 0
    assert THREE.superseded_seconds(1, 21.5) == 1
    assert THREE.superseded_seconds(3, 99.0) == 0


def test_the_newest_is_the_last_that_was_answered() -> None:
    assert [THREE.newest(at) for at in (10.4, 10.5, 29.0, 31.0)] == [0, 1, 2, 3]
