"""`mill.templates`: what is there, and what is done to versions by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from servers import Server
from templates.published import publish
from tidemill import CorruptRecord, InvalidInput, Tidemill
from tidemill.doctor.findings import Kind
from tidemill.templates.facade import Templates
from tidemill.templates.shown import TemplateLabel
from tidemill.wire.scripts import Use


def test_templates_are_listed_with_what_is_current(mill: Tidemill) -> None:
    assert mill.templates.list() == []
    for defaults in ({"size": 1}, {"size": 2}):
        publish(mill, "resize", defaults)
    publish(mill, "mail", {})
    mill.templates.label("resize", "stable", 1, 9)
    first, second = mill.templates.list()
    assert (first.name, first.task, first.newest, first.labels) == ("mail", "a.task", 1, ())
    assert (second.name, second.newest, second.labels) == ("resize", 2, (TemplateLabel("stable", 1, 9),))


def test_versions_come_with_the_newest_first_and_what_was_done_to_them(mill: Tidemill) -> None:
    before = datetime.now(UTC) - timedelta(seconds=60)
    answers = [publish(mill, "resize", {"size": size}) for size in (1, 2, 3)]
    mill.templates.label("resize", "stable", 1)
    mill.templates.label("resize", "best", 1)
    mill.templates.retire("resize", 2)
    found = mill.templates.versions("resize")
    assert [one.number for one in found] == [3, 2, 1]
    assert [one.digest for one in found] == [answer.version.digest.hex() for answer in reversed(answers)]
    assert [one.labels for one in found] == [(), (), ("best", "stable")]
    assert found[0].retired is None
    assert found[1].retired is not None
    assert before < found[0].published <= found[1].retired <= datetime.now(UTC) + timedelta(seconds=60)
    assert found[0].size == len(mill.client.link.run(mill.client.scripts.read_template("resize", 3)) or b"")


def test_a_content_is_found_by_number_by_label_and_as_the_newest(mill: Tidemill) -> None:
    for size in (1, 2, 3):
        publish(mill, "resize", {"size": size})
    mill.templates.label("resize", "stable", 1)
    for which, size in ((2, 2), ("stable", 1), ("newest", 3), (None, 3)):
        assert mill.templates.show("resize", which).defaults == {"size": size}


def test_a_retired_version_is_the_newest_no_more_until_it_is_restored(mill: Tidemill) -> None:
    for size in (1, 2):
        publish(mill, "resize", {"size": size})
    assert mill.templates.retire("resize", 2).retired is not None
    assert mill.templates.show("resize").version.number == 1
    assert publish(mill, "resize", {"size": 2}).is_retired
    assert mill.templates.restore("resize", 2).retired is None
    assert mill.templates.show("resize").version.number == 2
    assert mill.templates.restore("resize", 2).retired is None


def test_content_of_a_retired_version_ends_when_it_was_said_and_a_restored_one_does_not(
    mill: Tidemill, server: Server
) -> None:
    content = mill.client.scripts.keys.content
    for size in (1, 2, 3):
        publish(mill, "resize", {"size": size})
    mill.templates.retire("resize", 1)
    mill.templates.retire("resize", 2, keep=timedelta(hours=1))
    assert 29 * 86_400 < server.client.ttl(content("resize", 1)) <= 30 * 86_400
    assert 3_500 < server.client.ttl(content("resize", 2)) <= 3_600
    assert server.client.ttl(content("resize", 3)) == -1
    mill.templates.retire("resize", 2)
    assert 29 * 86_400 < server.client.ttl(content("resize", 2)) <= 30 * 86_400, "for as long as was said last"
    mill.templates.restore("resize", 1)
    assert server.client.ttl(content("resize", 1)) == -1
    mill.templates.retire("resize", 1, keep=0)
    with pytest.raises(InvalidInput, match="version 1 of template 'resize' can't be restored: its content is gone"):
        mill.templates.restore("resize", 1)
    with pytest.raises(InvalidInput, match="the content of version 1 of template 'resize' is gone"):
        mill.templates.show("resize", 1)


def test_content_that_is_published_again_while_its_version_is_retired_ends_with_it(
    mill: Tidemill, server: Server
) -> None:
    publish(mill, "resize", {"size": 1})
    mill.templates.retire("resize", 1, keep=timedelta(hours=1))
    key = mill.client.scripts.keys.content("resize", 1)
    server.client.delete(key)
    assert publish(mill, "resize", {"size": 1}).is_retired
    assert 3_500 < server.client.ttl(key) <= 3_600


def test_a_version_with_a_label_is_not_retired(mill: Tidemill) -> None:
    publish(mill, "resize", {"size": 1})
    mill.templates.label("resize", "stable", 1)
    with pytest.raises(InvalidInput, match="has the label stable: put it on another version first, or remove it"):
        mill.templates.retire("resize", 1)
    mill.templates.unlabel("resize", "stable")
    assert mill.templates.retire("resize", 1).retired is not None
    with pytest.raises(InvalidInput, match="version 1 of template 'resize' is retired: restore it first"):
        mill.templates.label("resize", "stable", 1)


REFUSED: list[tuple[Callable[[Templates], object], str]] = [
    (lambda templates: templates.show("mail"), "there is no template 'mail'"),
    (lambda templates: templates.versions("mail"), "there is no template 'mail'"),
    (lambda templates: templates.retire("mail", 1), "there is no template 'mail'"),
    (lambda templates: templates.show("resize", 7), "template 'resize' has no version 7"),
    (lambda templates: templates.retire("resize", 7), "template 'resize' has no version 7"),
    (lambda templates: templates.restore("resize", 7), "template 'resize' has no version 7"),
    (lambda templates: templates.label("resize", "best", 7), "template 'resize' has no version 7"),
    (lambda templates: templates.show("resize", "best"), "no label 'best': its labels are stable"),
    (lambda templates: templates.unlabel("resize", "best"), "no label 'best'"),
    (lambda templates: templates.label("resize", "newest", 1), "label 'newest' is not valid"),
    (lambda templates: templates.label("resize", "best", 1, -1), "weight must be a whole number from 0"),
    (lambda templates: templates.label("resize", "best", 0), "version must be a whole number from 1"),
    (lambda templates: templates.retire("resize", 1, keep=-1), "keep must be 0 to 3660 days"),
    (lambda templates: templates.show("Resize"), "template name 'Resize' is not valid"),
    (lambda templates: templates.retire("resize", 1, by=""), "by must be one line"),
]


@pytest.mark.parametrize(("action", "says"), REFUSED)
def test_what_makes_no_sense_is_refused(mill: Tidemill, action: Callable[[Templates], object], says: str) -> None:
    publish(mill, "resize", {"size": 1})
    mill.templates.label("resize", "stable", 1)
    with pytest.raises(InvalidInput, match=says):
        action(mill.templates)


def test_a_template_without_a_version_that_counts_has_no_newest(mill: Tidemill) -> None:
    publish(mill, "resize", {"size": 1})
    mill.templates.retire("resize", 1)
    (info,) = mill.templates.list()
    assert info.newest is None
    with pytest.raises(InvalidInput, match="has no newest version: all are retired"):
        mill.templates.show("resize")


def test_a_template_has_one_task(mill: Tidemill) -> None:
    publish(mill, "resize", {"size": 1})
    with pytest.raises(InvalidInput, match=r"has the task 'a\.task'.*'another\.task' under another name"):
        publish(mill, "resize", {"size": 1}, task="another.task")


def test_a_content_that_is_not_what_was_published_is_noticed(mill: Tidemill, server: Server) -> None:
    publish(mill, "resize", {"size": 1})
    key = mill.client.scripts.keys.content("resize", 1)
    server.client.set(key, server.client.get(key).replace(b"size", b"side"))
    with pytest.raises(CorruptRecord, match="version 1 of template 'resize' is not what was published"):
        mill.templates.show("resize")


@pytest.mark.parametrize("field", ["newest", "labels", "v:1"])
def test_what_a_foreign_hand_has_written_is_a_corrupt_record(mill: Tidemill, server: Server, field: str) -> None:
    publish(mill, "resize", {"size": 1})
    server.client.hset(mill.client.scripts.keys.template("resize"), field, "x")
    with pytest.raises(CorruptRecord, match="template 'resize' holds 'x', which no Tidemill wrote"):
        mill.templates.show("resize", 1)


def test_the_doctor_knows_what_templates_have_on_the_server(mill: Tidemill, server: Server) -> None:
    for size in (1, 2):
        publish(mill, "resize", {"size": size})
    mill.templates.retire("resize", 1)
    mill.client.link.run(mill.client.scripts.report_uses([Use("resize", 2, 1, 1)]))
    assert mill.doctor().findings == ()
    server.client.set(mill.client.scripts.keys.root + "retired:resize", "foreign")
    assert [(one.kind, one.key) for one in mill.doctor().findings] == [
        (Kind.FOREIGN_TYPE, mill.client.scripts.keys.root + "retired:resize")
    ]


def test_who_did_what_stands_in_the_audit_and_is_logged(mill: Tidemill, caplog: pytest.LogCaptureFixture) -> None:
    publish(mill, "resize", {"size": 1})
    with caplog.at_level(logging.INFO, "tidemill.template"):
        mill.templates.label("resize", "canary", 1, 5, by="ann", reason="a try")
        mill.templates.unlabel("resize", "canary", by="bob")
        mill.templates.retire("resize", 1, by="ann", reason="bad")
        mill.templates.restore("resize", 1, by="ann")
    found = mill.dead_letters.actions()
    assert [(one.action, one.by, one.reason, one.filter, one.jobs) for one in reversed(found)] == [
        ("label_template", "ann", "a try", "canary weight 5", ("template:resize:1",)),
        ("unlabel_template", "bob", "", "canary", ("template:resize:1",)),
        ("retire_template", "ann", "bad", "", ("template:resize:1",)),
        ("restore_template", "ann", "", "", ("template:resize:1",)),
    ]
    names = [record.__dict__["tidemill_event"].event_name for record in caplog.records]
    assert names == ["template.labelled", "template.unlabelled", "template.retired", "template.restored"]
    assert "by=ann why=bad" in caplog.text
    assert f"operation={found[-1].operation} template=resize label=canary version=1 weight=5" in caplog.text


def test_every_call_has_a_twin_for_async_code(mill: Tidemill) -> None:
    for size in (1, 2):
        publish(mill, "resize", {"size": size})

    async def all_of_them() -> None:
        templates = mill.templates
        assert [one.name for one in await templates.alist()] == ["resize"]
        assert len(await templates.aversions("resize")) == 2
        assert (await templates.ashow("resize", 1)).defaults == {"size": 1}
        assert [one.path for one in (await templates.adiff("resize", 1, 2)).changes] == ["defaults.size"]
        assert (await templates.alabel("resize", "stable", 1)).labels == (TemplateLabel("stable", 1, 0),)
        assert (await templates.aunlabel("resize", "stable")).labels == ()
        assert (await templates.aretire("resize", 2)).retired is not None
        assert (await templates.arestore("resize", 2)).retired is None
        await mill.client.aclose_here()

    asyncio.run(all_of_them())
