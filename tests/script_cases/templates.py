"""Job templates: published, retired and restored, labelled, and what workers tell of their use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from script_state import NOW, Case, State, World, after, but
from tidemill.wire.command import Command
from tidemill.wire.scripts import Hand, Hot, Published, Use, Version

Call = Callable[[World], Command[Any]]

# Digests of contents that are not looked into.
ONE, TWO, THREE = (bytes([number]) * 16 for number in (1, 2, 3))
LATER = NOW + 30 * 86_400_000
TODAY, HOUR = NOW // 86_400_000, NOW // 3_600_000


def row(digest: bytes, *, published: int = 7, retired: int = 0, size: int = 3) -> str:
    return f"{digest.hex()} {published} {retired} {size}"


def template(newest: int, *digests: bytes, **fields: object) -> dict[str, str]:
    """A template of task t whose versions have these digests."""
    found: dict[str, object] = {"task": "t", "revision": 7, "last": len(digests)}
    for number, digest in enumerate(digests, 1):
        found |= {f"v:{number}": row(digest), f"d:{digest.hex()}": number}
    return but(found, newest=f"{newest} {digests[newest - 1].hex()}", **fields)


def changed(before: dict[str, str], **fields: object) -> dict[str, str]:
    return but(before, revision=NOW, **fields)


PUBLISHED: State = {
    "templates": {"a"},
    "template:a": template(2, ONE, TWO),
    "content:a:1": "one",
    "content:a:2": "two",
    "versions:a": {"1": 1, "2": 2},
}
# The first of two is retired.
RETIRED: State = after(
    PUBLISHED,
    {
        "template:a": but(PUBLISHED["template:a"], **{"v:1": row(ONE, retired=8)}),
        "versions:a": {"2": 2},
        "retired:a": {"1": LATER},
    },
)
TOLD = (f"templates a {NOW}",)


def _publish(digest: bytes, content: bytes = b"new", most: int = 1_000) -> Call:
    return lambda world: world.scripts.publish_template("a", "t", digest, content, now_ms=NOW, most=most)


PUBLISH = [
    Case(
        "publish_template",
        "the first version of a template has the number one, and all are told",
        {},
        _publish(ONE),
        {
            "templates": {"a"},
            "template:a": but(template(1, ONE), revision=NOW, **{"v:1": row(ONE, published=NOW)}),
            "content:a:1": "new",
            "versions:a": {"1": 1},
        },
        Published(Version(1, ONE), is_new=True, is_retired=False),
        TOLD,
    ),
    Case(
        "publish_template",
        "another content is the next version, and the newest",
        PUBLISHED,
        _publish(THREE),
        {
            **PUBLISHED,
            "template:a": but(template(3, ONE, TWO, THREE), revision=NOW, **{"v:3": row(THREE, published=NOW)}),
            "content:a:3": "new",
            "versions:a": {"1": 1, "2": 2, "3": 3},
        },
        Published(Version(3, THREE), is_new=True, is_retired=False),
        TOLD,
    ),
    Case(
        "publish_template",
        "content that was published before keeps its number, and changes nothing",
        PUBLISHED,
        _publish(ONE),
        PUBLISHED,
        Published(Version(1, ONE), is_new=False, is_retired=False),
    ),
    Case(
        "publish_template",
        "content that the server has lost is there again",
        after(PUBLISHED, {"content:a:1": None}),
        _publish(ONE),
        after(PUBLISHED, {"content:a:1": "new"}),
        Published(Version(1, ONE), is_new=False, is_retired=False),
    ),
    Case(
        "publish_template",
        "content of a retired version stays retired",
        after(RETIRED, {"content:a:1": None}),
        _publish(ONE),
        after(RETIRED, {"content:a:1": "new"}),
        Published(Version(1, ONE), is_new=False, is_retired=True),
    ),
    Case(
        "publish_template",
        "content of a retired version that has ended is a version of its own",
        after(RETIRED, {"content:a:1": None, "retired:a": {"1": NOW}}),
        _publish(ONE),
        {
            "templates": {"a"},
            "template:a": changed(
                RETIRED["template:a"],
                last=3,
                newest=f"3 {ONE.hex()}",
                **{"v:1": None, f"d:{ONE.hex()}": 3, "v:3": row(ONE, published=NOW)},
            ),
            "content:a:2": "two",
            "content:a:3": "new",
            "versions:a": {"2": 2, "3": 3},
        },
        Published(Version(3, ONE), is_new=True, is_retired=False),
        TOLD,
    ),
    Case(
        "publish_template",
        "one version beyond those that are kept retires the oldest without a label",
        after(PUBLISHED, {"template:a": but(PUBLISHED["template:a"], labels=f"stable 1 {ONE.hex()} 9")}),
        _publish(THREE, most=2),
        {
            **PUBLISHED,
            "template:a": changed(
                template(3, ONE, TWO, THREE),
                labels=f"stable 1 {ONE.hex()} 9",
                **{"v:2": row(TWO, retired=NOW), "v:3": row(THREE, published=NOW)},
            ),
            "content:a:3": "new",
            "versions:a": {"1": 1, "3": 3},
            "retired:a": {"2": LATER},
        },
        Published(Version(3, THREE), is_new=True, is_retired=False),
        TOLD,
    ),
    Case(
        "publish_template",
        "versions whose content has ended are forgotten",
        after(RETIRED, {"content:a:1": None, "retired:a": {"1": NOW}}),
        _publish(THREE),
        {
            "templates": {"a"},
            "template:a": changed(
                template(3, ONE, TWO, THREE),
                **{"v:1": None, f"d:{ONE.hex()}": None, "v:3": row(THREE, published=NOW)},
            ),
            "content:a:2": "two",
            "content:a:3": "new",
            "versions:a": {"2": 2, "3": 3},
        },
        Published(Version(3, THREE), is_new=True, is_retired=False),
        TOLD,
    ),
    Case(
        "publish_template",
        "the revision of one that was changed in the future still grows",
        after(PUBLISHED, {"template:a": but(PUBLISHED["template:a"], revision=NOW + 5)}),
        _publish(THREE),
        {
            **PUBLISHED,
            "template:a": but(template(3, ONE, TWO, THREE), revision=NOW + 6, **{"v:3": row(THREE, published=NOW)}),
            "content:a:3": "new",
            "versions:a": {"1": 1, "2": 2, "3": 3},
        },
        Published(Version(3, THREE), is_new=True, is_retired=False),
        (f"templates a {NOW + 6}",),
    ),
]

HAND = Hand("ann@host", "a bad price", "op1")


def audited(action: str, number: int) -> list[str]:
    return [f"{action}, {NOW}, ann@host, a bad price, op1, , template:a:{number}"]


def _retire(number: int, keep_ms: int = 30 * 86_400_000) -> Call:
    return lambda world: world.scripts.retire_template("a", number, keep_ms, HAND, now_ms=NOW)


LABELLED: State = after(
    PUBLISHED,
    {"template:a": but(PUBLISHED["template:a"], labels=f"canary 2 {TWO.hex()} 10,stable 1 {ONE.hex()} 90")},
)

RETIRE = [
    Case(
        "retire_template",
        "the newest is retired, and the one before is the newest",
        PUBLISHED,
        _retire(2),
        {
            **PUBLISHED,
            "template:a": changed(
                PUBLISHED["template:a"],
                newest=f"1 {ONE.hex()}",
                operation="op1",
                **{"v:2": row(TWO, retired=NOW)},
            ),
            "versions:a": {"1": 1},
            "retired:a": {"2": LATER},
            "audit": audited("retire_template", 2),
        },
        "done",
        TOLD,
    ),
    Case(
        "retire_template",
        "when all are retired, none is the newest",
        RETIRED,
        _retire(2),
        {
            **after(RETIRED, {"versions:a": None}),
            "template:a": changed(
                RETIRED["template:a"], newest=None, operation="op1", **{"v:2": row(TWO, retired=NOW)}
            ),
            "retired:a": {"1": LATER, "2": LATER},
            "audit": audited("retire_template", 2),
        },
        "done",
        TOLD,
    ),
    Case(
        "retire_template",
        "one that is retired is kept for so long from now on",
        RETIRED,
        _retire(1, keep_ms=5_000),
        {
            **RETIRED,
            "template:a": changed(RETIRED["template:a"], operation="op1", **{"v:1": row(ONE, retired=NOW)}),
            "retired:a": {"1": NOW + 5_000},
            "audit": audited("retire_template", 1),
        },
        "done",
        TOLD,
    ),
    Case("retire_template", "one with a label stays", LABELLED, _retire(2), LABELLED, "labelled"),
    Case("retire_template", "an unknown version", PUBLISHED, _retire(3), PUBLISHED, "unknown"),
    Case("retire_template", "an unknown template", {}, _retire(1), {}, "unknown"),
]


def _restore(number: int) -> Call:
    return lambda world: world.scripts.restore_template("a", number, HAND, now_ms=NOW)


RESTORE = [
    Case(
        "restore_template",
        "a retired version is as before",
        RETIRED,
        _restore(1),
        {
            **PUBLISHED,
            "template:a": changed(PUBLISHED["template:a"]),
            "audit": audited("restore_template", 1),
        },
        "done",
        TOLD,
    ),
    Case("restore_template", "one that is not retired stays as it is", PUBLISHED, _restore(1), PUBLISHED, "done"),
    Case(
        "restore_template",
        "one whose content has ended is gone",
        after(RETIRED, {"content:a:1": None}),
        _restore(1),
        after(RETIRED, {"content:a:1": None}),
        "unknown",
    ),
    Case("restore_template", "an unknown version", PUBLISHED, _restore(3), PUBLISHED, "unknown"),
]


def _label(label: str, number: int | None, weight: int = 0) -> Call:
    return lambda world: world.scripts.label_template("a", label, number, weight, HAND, now_ms=NOW)


FULL = ",".join(f"label{number} 1 {ONE.hex()} 0" for number in range(32))

LABEL = [
    Case(
        "label_template",
        "a version gets a label and its weight",
        PUBLISHED,
        _label("canary", 2, 10),
        {
            **PUBLISHED,
            "template:a": changed(PUBLISHED["template:a"], labels=f"canary 2 {TWO.hex()} 10", operation="op1"),
            "audit": audited("label_template", 2),
        },
        "done",
        TOLD,
    ),
    Case(
        "label_template",
        "a label goes from one version to another; the others stay",
        LABELLED,
        _label("canary", 1, 20),
        {
            **PUBLISHED,
            "template:a": changed(
                PUBLISHED["template:a"], labels=f"stable 1 {ONE.hex()} 90,canary 1 {ONE.hex()} 20", operation="op1"
            ),
            "audit": audited("label_template", 1),
        },
        "done",
        TOLD,
    ),
    Case(
        "label_template",
        "a label is removed",
        LABELLED,
        _label("canary", None),
        {
            **PUBLISHED,
            "template:a": changed(PUBLISHED["template:a"], labels=f"stable 1 {ONE.hex()} 90", operation="op1"),
            "audit": audited("unlabel_template", 2),
        },
        "done",
        TOLD,
    ),
    Case("label_template", "an unknown version gets none", PUBLISHED, _label("canary", 3), PUBLISHED, "unknown"),
    Case("label_template", "a retired version gets none", RETIRED, _label("canary", 1), RETIRED, "retired"),
    Case("label_template", "an unknown label is not removed", LABELLED, _label("beta", None), LABELLED, "unknown"),
    Case(
        "label_template",
        "a template has so many labels and no more",
        after(PUBLISHED, {"template:a": but(PUBLISHED["template:a"], labels=FULL)}),
        _label("canary", 2),
        after(PUBLISHED, {"template:a": but(PUBLISHED["template:a"], labels=FULL)}),
        "full",
    ),
]

REPORT = [
    Case(
        "report_uses",
        "uses are added to those of the day and of the hour",
        {f"hot:{TODAY}": {"a:1": 4}, f"hits:{HOUR}": {"u:a:1": "3", "h:a:1": "1"}},
        lambda world: world.scripts.report_uses([Use("a", 1, 2, 1), Use("b", 7, 5, 0)], now_ms=NOW),
        {
            f"hot:{TODAY}": {"a:1": 6, "b:7": 5},
            f"hits:{HOUR}": {"u:a:1": "5", "h:a:1": "2", "u:b:7": "5", "h:b:7": "0"},
        },
        1,
    ),
    Case("report_uses", "there is nothing to tell", {}, lambda world: world.scripts.report_uses([], now_ms=NOW), {}, 1),
]

# At NOW, a third of the day is over, and the hour has just begun.
USED: State = {
    f"hot:{TODAY}": {"a:1": 10, "b:2": 3, "c:3": 1},
    f"hot:{TODAY - 1}": {"b:2": 30, "d:4": 6},
    f"hits:{HOUR}": {"u:a:1": "4", "h:a:1": "4"},
    f"hits:{HOUR - 1}": {"u:b:2": "9", "h:b:2": "8"},
}

HOTTEST = [
    Case(
        "hottest",
        "of the day before counts the part that is not over",
        USED,
        lambda world: world.scripts.hottest(3, now_ms=NOW),
        USED,
        [Hot("b", 2, 23, 9, 8), Hot("a", 1, 10, 4, 4), Hot("d", 4, 4, 0, 0)],
    ),
    Case(
        "hottest",
        "as many as are asked for",
        USED,
        lambda world: world.scripts.hottest(1, now_ms=NOW + 1_800_000),
        USED,
        [Hot("b", 2, 22, 4, 4)],
    ),
    Case("hottest", "nothing is used", {}, lambda world: world.scripts.hottest(5, now_ms=NOW), {}, []),
]

CASES = [*PUBLISH, *RETIRE, *RESTORE, *LABEL, *REPORT, *HOTTEST]
