"""`tidemill dead`."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from cli.in_process import Group
from dead_letters.letters import make_letters
from tidemill import RemoteError, Tidemill
from tidemill.commands.dead import Seen
from tidemill.dead_letters import BulkResult
from tidemill.wire.command import Command

DAY_MS = 86_400_000
KEY_ERROR = RemoteError("KeyError", "'size'\nis missing", "a traceback")


GROUP = Group("dead")
run, answer = GROUP.run, GROUP.answer


def test_letters_are_listed_by_filter_and_page(mill: Tidemill, url: str) -> None:
    assert run(url, "list").stdout == "no dead letters\n"
    assert answer(url, "list") == {"letters": [], "cursor": None}
    now_ms = mill.client.link.run(mill.client.scripts.server_time())
    (old,) = make_letters(mill, 1, died_ms=now_ms - 40 * DAY_MS)
    (new,) = make_letters(mill, 1, error=KEY_ERROR)
    (line, other) = run(url, "list").stdout.splitlines()
    assert re.fullmatch(rf"{new}  \S+\+00:00  default  a\.task  attempt 1  KeyError: 'size' is missing", line)
    assert old in other
    page = answer(url, "list", "--limit", "1")
    (shown,) = page["letters"]
    assert set(shown) == {"id", "queue", "task", "attempt", "crashes", "died", "error", "message"}
    assert datetime.fromisoformat(shown["died"]).utcoffset() is not None
    assert [one["id"] for one in answer(url, "list", "--cursor", page["cursor"])["letters"]] == [old]
    assert f"there may be more: --cursor {page['cursor']}" in run(url, "list", "--limit", "1").stdout
    for which in (["--older-than", "30d"], ["--before", "720h"], ["--error", "ValueError"], ["--text", "picture"]):
        assert [one["id"] for one in answer(url, "list", *which)["letters"]] == [old]
    for which in (["--since", "30d"], ["--since", "2026-01-01T00:00Z", "--error", "KeyError"], ["--task", "a.task"]):
        assert answer(url, "list", *which)["letters"][0]["id"] == new
    assert answer(url, "list", "--queue", "other")["letters"] == []


def test_letters_are_counted_by_error(mill: Tidemill, url: str) -> None:
    assert run(url, "counts").stdout == "no dead letters\n"
    make_letters(mill, 12)
    make_letters(mill, 1, error=KEY_ERROR)
    assert run(url, "counts").stdout == "      12  ValueError\n       1  KeyError\n"
    assert answer(url, "counts", "--error", "KeyError") == {"KeyError": 1}


def test_a_letter_is_shown_with_what_was_done_to_it_and_its_arguments_only_when_asked(mill: Tidemill, url: str) -> None:
    (job_id,) = make_letters(mill, 1, error=KEY_ERROR)
    shown = answer(url, "show", job_id)
    assert (shown["job"]["state"], shown["job"]["error"]) == ("dead", "KeyError: 'size'\nis missing")
    assert shown["job"]["traceback"] == "a traceback"
    assert [one["event"] for one in shown["events"]] == ["bury"]
    assert "arguments" not in shown
    assert answer(url, "show", job_id, "--arguments")["arguments"] == {"args": [0], "kwargs": {}}
    assert run(url, "retry", job_id, "--by", "ann", "--reason", "mended").stdout == f"{job_id}  ready\n"
    text = run(url, "show", job_id, "--arguments").stdout
    assert re.search(r"by hand:\n  \S+  retry of 1 by ann because mended\n", text)
    assert re.search(r"events:\n  \S+  requeue\n  \S+  bury\n", text)
    assert re.search(r"^args +\[0\]\nkwargs +\{\}$", text, re.MULTILINE)
    assert run(url, "show", "nobody").exit_code == 3


def test_those_of_a_filter_are_retried(mill: Tidemill, url: str) -> None:
    make_letters(mill, 60)
    (other,) = make_letters(mill, 1, error=KEY_ERROR)
    assert answer(url, "retry", "--error", "ValueError", "--limit", "10")["retried"] == 10
    done = answer(url, "retry", "--error", "ValueError", "--rate", "100000/s", "--by", "ann", "--reason", "why")
    assert (done["retried"], done["matched"], done["skipped"], done["interrupted"]) == (50, 50, {}, False)
    history = answer(url, "history", "--operation", done["operation"])
    assert [(one["action"], one["by"], one["reason"], one["filter"]) for one in history] == [
        ("retry", "ann", "why", "error='ValueError'")
    ] * len(history)
    assert run(url, "retry", "--all").stdout.startswith("retried 1 of 1 dead letters (operation ")
    assert mill.job(other).state == "ready"


def test_what_was_left_is_said(mill: Tidemill, url: str) -> None:
    make_letters(mill, 1, unique="key")
    mill.named("a.task").using(unique="key", queue="other").enqueue()
    said = run(url, "retry", "--all").stdout
    assert said.startswith("retried 0 of 1 dead letters; left 1 whose unique key another job holds (operation ")
    refused = run(url, "retry", mill.dead_letters.browse().letters[0].id)
    assert (refused.exit_code, "its unique key is held by job" in refused.stderr) == (1, True)


def test_one_is_retried_with_new_arguments(
    mill: Tidemill, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dead_command_app.py").write_text(
        "from tidemill import Tidemill\n"
        "mill = Tidemill()\n"
        "@mill.task(name='a.task')\n"
        "def task(path: str, size: int = 1) -> None: ...\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEMILL_URL", url)
    first, second = make_letters(mill, 2)
    app = ("--app", "dead_command_app:mill")
    refused = run(url, "retry", first, "--kwargs", '{"colour": 1}', *app)
    assert refused.exit_code == 2
    assert "task a.task does not take these arguments" in refused.stderr
    said = run(url, "retry", first, "--args", '["cat.jpg"]', "--kwargs", '{"size": 2}', *app).stdout
    assert said == f"{first}  ready, with new arguments\n"
    assert mill.dead_letters.arguments(first) == (["cat.jpg"], {"size": 2})
    assert answer(url, "retry", second, "--args", "[1, 2, 3]") == {second: "ready"}
    assert answer(url, "history", "--job", second)[0]["action"] == "edit"


def test_a_purge_only_counts_until_it_is_meant(mill: Tidemill, url: str) -> None:
    now_ms = mill.client.link.run(mill.client.scripts.server_time())
    make_letters(mill, 3, died_ms=now_ms - 40 * DAY_MS)
    make_letters(mill, 1)
    said = run(url, "purge", "--older-than", "30d").stdout
    assert said == "3 dead letters fit; nothing was removed: say --yes to remove them\n"
    assert answer(url, "purge", "--older-than", "30d") == {"dry_run": True, "matched": 3, "removed": 0}
    assert mill.inspect.queue("default").dead == 4
    removed = answer(url, "purge", "--older-than", "30d", "--yes", "--by", "ann")
    assert (removed["removed"], removed["matched"]) == (3, 3)
    assert run(url, "purge", "--all", "--yes").stdout.startswith("removed 1 of 1 dead letters (operation ")
    (last, first) = run(url, "history").stdout.splitlines()
    assert re.search(r"purge of 1 by \S+@\S+  \[before=\S+\]  \S+$", last)
    assert re.search(r"purge of 3 by ann  \[before=\S+\]  \S+ \S+ \S+$", first)
    assert len(run(url, "history", "--limit", "1").stdout.splitlines()) == 1


def test_nothing_was_done_by_hand(mill: Tidemill, url: str) -> None:
    assert run(url, "history").stdout == "nothing was done by hand\n"
    assert answer(url, "history") == []


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["retry"], "a filter is missing, so this would be every dead letter of every queue"),
        (["purge", "--yes"], "a filter is missing"),
        (["retry", "--all", "--queue", "q"], "--all and --queue contradict each other"),
        (["retry", "x", "--rate", "5/s"], "job ids go without a filter, --rate and --limit"),
        (["retry", "--queue", "q", "--rate", "fast"], "rate 'fast' is not valid"),
        (["retry", "--queue", "q", "--app", "a:b"], "--app is for --args and --kwargs"),
        (["retry", "a", "b", "--args", "[]"], "--args and --kwargs are for one job id, not 2"),
        (["retry", "a", "--args", "{"], "--args must be JSON, not '{'"),
        (["retry", "a", "--kwargs", "[]"], "--kwargs must be a JSON object, not '[]'"),
        (["list", "--since", "soon"], "'soon' is neither an age, as 90s, 15m, 12h or 30d, nor a time with its zone"),
        (["list", "--since", "2026-01-01"], "'2026-01-01' is neither an age"),
        (["list", "--since", "99999999d"], "since must be 0 to 3660 days"),
        (["list", "--before", "9999d"], "before must be 0 to 3660 days"),
        (["list", "--cursor", "x"], "cursor 'x' is none of a page"),
        (["show", "no body"], "job id 'no body' is not valid"),
    ],
    ids=str,
)
def test_wrong_input_is_refused_with_the_rule(mill: Tidemill, url: str, arguments: list[str], rule: str) -> None:
    refused = run(url, *arguments)
    assert refused.exit_code == 2, refused.output
    assert rule in " ".join(refused.stderr.split())


def test_an_error_in_the_middle_says_how_many_went(mill: Tidemill, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_letters(mill, 60)
    audit = mill.client.scripts.keys.audit
    report = Seen.__call__

    def then_spoil_the_audit(self: Seen, result: BulkResult) -> None:
        report(self, result)
        if result.done:
            mill.client.link.run(Command(("DEL", audit), int))
            mill.client.link.run(Command(("SET", audit, "foreign"), str))

    monkeypatch.setattr(Seen, "__call__", then_spoil_the_audit)
    failed = run(url, "retry", "--all")
    assert failed.exit_code == 1
    assert "retried 25 dead letters before this error" in failed.stderr
    assert "audit holds a string, not a stream" in failed.stderr
