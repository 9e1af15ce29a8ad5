"""Templates on the server: what a table of one call can't show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from script_state import NOW, World
from tidemill.wire.scripts import Hand, Published, Use, Version
from tidemill.wire.templating import RETIRED_KEPT_MS, template_news_in

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
HAND = Hand("ann")


def _digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _publish(world: World, number: int, *, most: int = 1_000, now_ms: int = NOW) -> Published:
    answer: Published = world.run(
        world.scripts.publish_template("a", "t", _digest(number), b"content", now_ms=now_ms, most=most)
    )
    return answer


def test_who_publishes_the_same_at_once_gets_the_same_number(world: World) -> None:
    def publish(number: int) -> Published:
        return _publish(world, number % 4)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(publish, range(64)))
    numbers = {answer.version for answer in answers}
    assert sorted(version.number for version in numbers) == [1, 2, 3, 4]
    assert len({version.digest for version in numbers}) == 4
    assert sum(answer.is_new for answer in answers) == 4


def test_a_template_that_is_published_for_ever_stays_as_large(world: World) -> None:
    sizes: list[int] = []
    for number in range(1, 301):
        # Each a tenth of the time after the one before for which the content of a retired one is kept.
        _publish(world, number, most=10, now_ms=NOW + number * RETIRED_KEPT_MS // 10)
        sizes.append(world.client.hlen(world.keys.template("a")))
    assert sizes[-1] == sizes[-100]
    assert world.client.zcard(f"{world.keys.root}versions:a") == 10
    assert world.client.zcard(f"{world.keys.root}retired:a") <= 11
    assert len(world.run(world.scripts.template_versions("a"))) <= 21
    assert world.run(world.scripts.look_template("a")).newest == Version(300, _digest(300))


def test_a_revision_only_grows_and_is_never_below_the_servers_time(world: World) -> None:
    seen = [0]
    for number, now_ms in enumerate((NOW, NOW, NOW - 5, NOW + 9), 1):
        _publish(world, number, now_ms=now_ms)
        revision = world.run(world.scripts.look_template("a")).revision
        assert revision >= now_ms
        assert revision > seen[-1]
        seen.append(revision)


def test_many_are_looked_at_in_one_round_trip_and_an_unknown_one_is_none(world: World) -> None:
    _publish(world, 1)
    assert world.run(world.scripts.look_template("b")) is None
    assert world.run(world.scripts.look_template_version("a", 1)) == (_digest(1), False)
    assert world.run(world.scripts.look_template_version("a", 2)) is None
    assert world.run(world.scripts.look_template_version("b", 1)) is None
    assert world.run(world.scripts.read_template("a", 1)) == b"content"
    assert world.run(world.scripts.read_template("a", 2)) is None
    world.run(world.scripts.retire_template("a", 1, 5_000, HAND))
    assert world.run(world.scripts.look_template_version("a", 1)) == (_digest(1), True)


def test_labels_come_in_the_order_of_their_names(world: World) -> None:
    _publish(world, 1)
    for label in ("stable", "canary", "b-2"):
        world.run(world.scripts.label_template("a", label, 1, 1, HAND._replace(operation=label)))
    pointers = world.run(world.scripts.look_template("a"))
    assert [label.name for label in pointers.labels] == ["b-2", "canary", "stable"]


def test_a_message_on_the_channel_names_the_template_and_its_revision() -> None:
    assert template_news_in(f"stock-preheat {NOW}") == ("stock-preheat", NOW)
    for foreign in ("", "a", "a ", " 5", "a b", "a 5 6", "a -1", f"a {10**16}"):
        assert template_news_in(foreign) is None


def test_the_figures_of_uses_come_to_their_end(world: World) -> None:
    world.run(world.scripts.report_uses([Use("a", 1, 1, 1)], now_ms=NOW))
    hot, hits = f"{world.keys.root}hot:{NOW // DAY_MS}", f"{world.keys.root}hits:{NOW // HOUR_MS}"
    # To the end of the next day, and of the next hour, of which they are still a part.
    assert 2 * DAY_MS - 60_000 < world.client.pttl(hot) <= 2 * DAY_MS
    assert 2 * HOUR_MS - 60_000 < world.client.pttl(hits) <= 2 * HOUR_MS
    world.client.pexpire(hot, 1_000_000)
    world.run(world.scripts.report_uses([Use("a", 1, 1, 1)], now_ms=NOW))
    assert world.client.pttl(hot) <= 1_000_000, "a report puts off no end"


def test_of_a_day_the_versions_that_are_used_most_are_kept(world: World) -> None:
    hot = f"{world.keys.root}hot:{NOW // DAY_MS}"
    world.client.zadd(hot, {f"b:{number}": 5 for number in range(1, 10_001)})
    world.run(world.scripts.report_uses([Use("a", 1, 7, 0), Use("a", 2, 1, 0)], now_ms=NOW))
    assert world.client.zcard(hot) == 10_000
    assert world.client.zscore(hot, "a:1") == 7
    assert world.client.zscore(hot, "a:2") is None
    assert [one.name for one in world.run(world.scripts.hottest(1_000, now_ms=NOW))].count("b") == 999


def test_what_a_foreign_hand_has_counted_is_left_out(world: World) -> None:
    world.client.zadd(f"{world.keys.root}hot:{NOW // DAY_MS}", {"x": 9, ":3": 8, "a:y": 7, "a:1": 1})
    (only,) = world.run(world.scripts.hottest(10, now_ms=NOW))
    assert (only.name, only.number, only.daily_uses) == ("a", 1, 1)
