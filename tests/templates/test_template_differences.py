"""What a version says, in plain values, and what differs between two."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from servers import Server
from templates.published import publish
from tidemill import Retry, Tidemill

KEYS = {"k": b"0123456789abcdef0123456789abcdef"}


@dataclass
class Address:
    city: str
    zip_code: int


def _paths(
    mill: Tidemill, before: dict[str, object], after: dict[str, object]
) -> list[tuple[str, str, object, object]]:
    publish(mill, "mail", before)
    publish(mill, "mail", after)
    return [(one.path, one.kind, one.before, one.after) for one in mill.templates.diff("mail", 1, 2).changes]


def test_defaults_options_and_schema_are_shown(mill: Tidemill) -> None:
    publish(
        mill,
        "mail",
        {"price": Decimal("1.50"), "tags": {"new"}},
        {
            "queue": "mails",
            "priority": "low",
            "expires": 60,
            "result_ttl": 0,
            "timeout": 2.5,
            "critical": True,
            "retry": Retry(max_attempts=3, backoff="decorrelated", until=9),
        },
        {"a": "form"},
    )
    found = mill.templates.show("mail")
    assert (found.task, found.schema) == ("a.task", {"a": "form"})
    assert found.defaults == {"price": Decimal("1.50"), "tags": {"new"}}
    assert found.options == {
        "queue": "mails",
        "priority": "low",
        "expires": 60.0,
        "result_ttl": 0.0,
        "timeout": 2.5,
        "critical": True,
        "retry": {
            "max_attempts": 3,
            "backoff": "decorrelated",
            "base": 1.0,
            "factor": 2.0,
            "cap": 300.0,
            "jitter": 0.5,
            "until": 9.0,
        },
    }


def test_an_instant_until_which_is_retried_is_shown_as_one(mill: Tidemill) -> None:
    until = datetime(2035, 5, 5, tzinfo=UTC)
    publish(mill, "mail", {}, {"retry": Retry(until=until)})
    retry = mill.templates.show("mail").options["retry"]
    assert isinstance(retry, dict)
    assert retry["until"] == until


def test_dataclasses_are_shown_where_nobody_knows_them(mill: Tidemill, url: str) -> None:
    mill.codec.carry(Address)
    publish(mill, "mail", {"to": [Address("Bonn", 53113)]})
    with Tidemill(url) as stranger:
        shown = stranger.templates.show("mail").defaults["to"]
    assert shown == [{"dataclass": f"{__name__}.Address", "city": "Bonn", "zip_code": 53113}]


def test_signed_contents_are_shown_to_those_without_keys(url: str, server: Server) -> None:
    with Tidemill(url, signing_keys=KEYS) as signing, Tidemill(url) as stranger:
        publish(signing, "mail", {"size": 1})
        assert server.client.get(signing.client.scripts.keys.content("mail", 1))[:1] == b"\xc1"
        assert stranger.templates.show("mail").defaults == {"size": 1}


def test_a_difference_is_told_by_its_path(mill: Tidemill) -> None:
    before: dict[str, object] = {"sizes": [{"w": 1, "h": 2}, 5], "from": "a", "gone": None, "same": [1, {"a": 1}]}
    after: dict[str, object] = {"sizes": [{"w": 1, "h": 3}], "from": "b", "new": [], "same": [1, {"a": 1}]}
    assert _paths(mill, before, after) == [
        ("defaults.from", "changed", "a", "b"),
        ("defaults.gone", "removed", None, None),
        ("defaults.sizes[0].h", "changed", 2, 3),
        ("defaults.sizes[1]", "removed", 5, None),
        ("defaults.new", "added", None, []),
    ]


def test_values_that_are_equal_and_not_the_same_differ(mill: Tidemill) -> None:
    before: dict[str, object] = {"one": 1, "flag": 1, "pair": (1, 2), "same": (1, 2)}
    after: dict[str, object] = {"one": 1.0, "flag": True, "pair": [1, 2], "same": (1, 2)}
    assert [path for path, *_ in _paths(mill, before, after)] == ["defaults.flag", "defaults.one", "defaults.pair"]


def test_names_that_are_no_identifiers_are_written_so_that_a_path_can_be_read(mill: Tidemill) -> None:
    assert [path for path, *_ in _paths(mill, {"by": {"a b": 1, 7: 1}}, {"by": {"a b": 2, 7: 2}})] == [
        "defaults.by['a b']",
        "defaults.by[7]",
    ]


def test_options_and_schemas_are_compared_too(mill: Tidemill) -> None:
    publish(mill, "mail", {}, {"timeout": 5})
    publish(mill, "mail", {}, {"queue": "mails", "timeout": 6}, {"fields": ["to"]})
    found = mill.templates.diff("mail", 1, "newest")
    assert (found.name, found.before, found.after) == ("mail", 1, 2)
    assert [(one.path, one.before, one.after) for one in found.changes] == [
        ("options.timeout", 5.0, 6.0),
        ("options.queue", None, "mails"),
        ("schema", None, {"fields": ["to"]}),
    ]


def test_a_version_does_not_differ_from_itself(mill: Tidemill) -> None:
    publish(mill, "mail", {"to": "ann"})
    assert mill.templates.diff("mail", 1, "newest").changes == ()
