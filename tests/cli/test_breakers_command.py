"""`tidemill breakers`."""

from __future__ import annotations

from cli.in_process import Group
from tidemill import Tidemill

GROUP = Group("breakers")
run, answer = GROUP.run, GROUP.answer


def test_breakers_are_opened_and_closed_by_hand_and_the_audit_knows_who_did_it(mill: Tidemill, url: str) -> None:
    assert run(url, "list").stdout == "no breaker has changed within a day\n"
    opened = answer(url, "open", "pay", "--for", "10m", "--by", "ann", "--reason", "maintenance")
    assert (opened["breaker"], opened["state"], opened["reason"]) == ("pay", "open", "hand")
    assert 590 < opened["retry_after_s"] <= 600
    (line,) = run(url, "list").stdout.splitlines()[1:]
    assert line.split()[:3] == ["pay", "open", "hand"]
    assert run(url, "close", "pay").stdout == "pay is closed\n"
    assert answer(url, "show", "pay")["state"] == "closed"
    assert answer(url, "show", "never")["changed"] is None
    assert run(url, "open", "pay").stdout == "pay is open for 3600 s\n"
    actions = mill.dead_letters.actions()
    assert [(one.action, one.jobs) for one in actions] == [
        ("open_breaker", ("breaker:pay",)),
        ("close_breaker", ("breaker:pay",)),
        ("open_breaker", ("breaker:pay",)),
    ]
    assert (actions[-1].by, actions[-1].reason) == ("ann", "maintenance")


def test_wrong_words_are_refused(url: str) -> None:
    assert run(url, "open", "Pay").exit_code == 2
    assert "is not valid" in run(url, "open", "Pay").stderr
    wrong = run(url, "open", "pay", "--for", "soon")
    assert wrong.exit_code == 2
    assert "'soon' is no length of time" in wrong.stderr
    assert run(url, "open", "pay", "--for", "0s").exit_code == 2
