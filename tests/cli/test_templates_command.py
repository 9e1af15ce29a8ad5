"""`tidemill templates`."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.in_process import Group
from templates.published import publish
from tidemill import Retry, Tidemill

GROUP = Group("templates")
run, answer = GROUP.run, GROUP.answer

FILE = """
task = "app.resize"
queue = "images"
priority = "low"
timeout = "2m"
result_ttl = 60
critical = true
retry = { max_attempts = 3, until = "1h" }

[defaults]
size = 100
formats = ["png", "webp"]
since = 2026-03-01T12:00:00Z
"""


@pytest.fixture
def resize(mill: Tidemill) -> Tidemill:
    """A template with two versions, the first of which is stable."""
    publish(mill, "resize", {"size": 100, "formats": ["png"]}, task="app.resize")
    publish(mill, "resize", {"size": 200, "formats": ["png", "webp"]}, {"timeout": 5}, task="app.resize")
    mill.templates.label("resize", "stable", 1, 9)
    return mill


def test_templates_are_listed(resize: Tidemill, url: str) -> None:
    assert run(url, "list").stdout.splitlines()[1].split() == [
        "resize",
        "app.resize",
        "2",
        "stable",
        "1",
        "(weight",
        "9)",
    ]
    labels = [{"label": "stable", "version": 1, "weight": 9}]
    assert answer(url, "list") == [{"template": "resize", "task": "app.resize", "newest": 2, "labels": labels}]


def test_no_templates_are_no_error(url: str) -> None:
    assert run(url, "list").stdout == "no templates\n"
    assert answer(url, "list") == []


def test_the_versions_of_a_template_are_shown(resize: Tidemill, url: str) -> None:
    resize.templates.retire("resize", 2)
    heads, second, first = run(url, "show", "resize").stdout.splitlines()
    assert heads.split() == ["version", "published", "bytes", "digest", "labels"]
    assert (second.split()[0], second.split()[-2]) == ("2", "retired")
    assert (first.split()[0], first.split()[-1]) == ("1", "stable")
    found = answer(url, "show", "resize")
    assert found["template"] == "resize"
    assert [(one["version"], one["labels"], one["retired"] is None) for one in found["versions"]] == [
        (2, [], False),
        (1, ["stable"], True),
    ]


def test_what_a_version_says_is_shown(resize: Tidemill, url: str) -> None:
    lines = run(url, "show", "resize", "newest").stdout
    assert "  size = 200\n" in lines
    assert "timeout      5.0\n" in lines
    for version in ("1", "stable"):
        found = answer(url, "show", "resize", version)
        assert (found["version"], found["labels"], found["task"]) == (1, ["stable"], "app.resize")
        assert found["defaults"] == {"size": 100, "formats": ["png"]}
        assert found["options"] == {"priority": "normal"}
        assert found["schema"] is None


def test_values_that_json_does_not_know_are_written_as_it_can(mill: Tidemill, url: str) -> None:
    publish(mill, "odd", {"by": {(1, 2): {3}}, "at": datetime(2026, 3, 1, tzinfo=UTC)})
    assert answer(url, "show", "odd", "1")["defaults"] == {"by": {"(1, 2)": [3]}, "at": "2026-03-01 00:00:00+00:00"}


def test_a_difference_is_written_line_by_line(resize: Tidemill, url: str) -> None:
    expected = ["+ defaults.formats[1]: 'webp'", "~ defaults.size: 100 -> 200", "+ options.timeout: 5.0"]
    assert run(url, "diff", "resize", "1", "2").stdout.splitlines() == expected
    assert run(url, "diff", "resize", "stable").stdout.splitlines() == expected
    assert run(url, "diff", "resize", "2", "1").stdout.splitlines()[0] == "- defaults.formats[1]: 'webp'"
    assert run(url, "diff", "resize", "2").stdout == "versions 2 and 2 of resize say the same\n"
    found = answer(url, "diff", "resize", "1", "2")
    assert (found["template"], found["before"], found["after"]) == ("resize", 1, 2)
    assert found["changes"][1] == {"path": "defaults.size", "kind": "changed", "before": 100, "after": 200}


def test_a_long_value_is_cut_in_a_line_and_whole_in_json(mill: Tidemill, url: str) -> None:
    publish(mill, "mail", {"text": "a"})
    publish(mill, "mail", {"text": 500 * "b"})
    assert run(url, "diff", "mail", "1").stdout == f"~ defaults.text: 'a' -> '{98 * 'b'}…\n"
    assert answer(url, "diff", "mail", "1")["changes"][0]["after"] == 500 * "b"


def test_versions_are_retired_and_restored(resize: Tidemill, url: str) -> None:
    told = run(url, "retire", "resize", "2", "--keep", "12h", "--by", "ann", "--reason", "too large").stdout
    assert told == "version 2 of resize is retired; its content is kept for 12:00:00\n"
    assert answer(url, "list")[0]["newest"] == 1
    assert run(url, "restore", "resize", "2").stdout == "version 2 of resize is not retired\n"
    assert answer(url, "retire", "resize", "2")["kept_s"] == 30 * 86_400
    assert answer(url, "restore", "resize", "2")["retired"] is None
    first = resize.dead_letters.actions()[-2]
    assert (first.action, first.by, first.reason, first.jobs) == (
        "retire_template",
        "ann",
        "too large",
        ("template:resize:2",),
    )


def test_labels_are_put_on_and_removed(resize: Tidemill, url: str) -> None:
    told = run(url, "label", "resize", "canary", "2", "--weight", "1").stdout
    assert told == "resize: canary 2 (weight 1), stable 1 (weight 9)\n"
    assert run(url, "unlabel", "resize", "stable").stdout == "resize: canary 2 (weight 1)\n"
    assert answer(url, "label", "resize", "canary", "1")["labels"] == [{"label": "canary", "version": 1, "weight": 0}]
    assert run(url, "unlabel", "resize", "canary").stdout == "resize: no labels\n"


def test_a_template_is_published_from_a_file(mill: Tidemill, url: str, tmp_path: Path) -> None:
    file = tmp_path / "resize.toml"
    file.write_text(FILE)
    assert run(url, "publish", "resize", str(file)).stdout == "version 1 of resize published\n"
    assert run(url, "publish", "resize", str(file)).stdout == "version 1 of resize was there already\n"
    found = mill.templates.show("resize")
    assert found.task == "app.resize"
    assert found.defaults == {
        "size": 100,
        "formats": ["png", "webp"],
        "since": datetime(2026, 3, 1, 12, tzinfo=UTC),
    }
    retry = found.options["retry"]
    assert isinstance(retry, dict)
    assert (retry["max_attempts"], retry["until"]) == (3, 3600.0)
    assert {name: value for name, value in found.options.items() if name != "retry"} == {
        "queue": "images",
        "priority": "low",
        "timeout": 120.0,
        "result_ttl": 60.0,
        "critical": True,
    }


def test_a_file_may_be_json_and_is_the_same_version_as_code_makes(mill: Tidemill, url: str, tmp_path: Path) -> None:
    mill.template("mail", task="app.mail", defaults={"to": "ann"}, retry=Retry(max_attempts=2)).publish()
    file = tmp_path / "mail.json"
    file.write_text(json.dumps({"task": "app.mail", "defaults": {"to": "ann"}, "retry": {"max_attempts": 2}}))
    found = answer(url, "publish", "mail", str(file))
    assert found == [
        {
            "template": "mail",
            "version": 1,
            "digest": mill.templates.versions("mail")[0].digest,
            "new": False,
            "retired": False,
        }
    ]
    mill.templates.retire("mail", 1)
    told = run(url, "publish", "mail", str(file)).stdout
    assert told == "version 1 of mail was there already, and is retired\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("task = 5", "it must say its task"),
        ("", "it must say its task"),
        ("task = ", "it can't be read"),
        ('task = "t"\ndefault = {}', "unknown field default: one of task, defaults, queue"),
        ('task = "t"\ndefaults = []', "defaults must be a table"),
        ('task = "t"\nqueue = "A B"', "queue name 'A B' is not valid"),
        ('task = "t"\ntimeout = "soon"', "timeout must be a timedelta or a number of seconds, not 'soon'"),
        ('task = "t"\nretry = 5', "retry must be a table"),
        ('task = "t"\nretry = { tries = 5 }', "unknown field tries of retry: one of max_attempts"),
        ('task = "t"\nretry = { max_attempts = "five" }', "Retry.max_attempts must be a whole number"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_and_named(url: str, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    result = run(url, "publish", "resize", str(file))
    assert result.exit_code == 2
    assert str(file) in result.stderr
    assert says in result.stderr


def test_all_that_an_application_declares_is_published(
    mill: Tidemill, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "tidemill.template"):
        told = run(url, "publish", "--app", "cli.declaring_app").stdout
    assert [record.__dict__["tidemill_event"].event_name for record in caplog.records] == ["template.published"] * 2
    assert told == "version 1 of resize published\nversion 1 of resize-large published\n"
    assert mill.templates.show("resize").options["queue"] == "images"
    assert [one["new"] for one in answer(url, "publish", "--app", "cli.declaring_app:mill")] == [False, False]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("publish",), "say either --app MODULE:APP, or the NAME"),
        (("publish", "resize"), "say either --app MODULE:APP, or the NAME"),
        (("publish", "resize", "--app", "cli.declaring_app"), "say either --app MODULE:APP, or the NAME"),
        (("publish", "resize", "nowhere.toml"), "does not exist"),
        (("show", "mail"), "there is no template 'mail'"),
        (("diff", "resize", "best"), "has no label 'best'"),
        (("retire", "resize", "1"), "has the label stable"),
        (("retire", "resize", "two"), "is not a valid integer"),
        (("retire", "resize", "2", "--keep", "long"), "is no length of time"),
        (("label", "resize", "Best", "1"), "label 'Best' is not valid"),
        (("label", "resize", "best", "1", "--weight", "-1"), "is not in the range"),
    ],
)
def test_wrong_words_are_refused(resize: Tidemill, url: str, words: tuple[str, ...], says: str) -> None:
    result = run(url, *words)
    assert result.exit_code == 2
    assert says in result.stderr
