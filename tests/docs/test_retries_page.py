"""docs/retries.md: its programs print what it says, and its tables are complete."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from docs.pages import Page
from tidemill import Retry
from tidemill.telemetry import Event

PAGE = Page("retries.md")


def test_the_programs_print_what_the_page_says(tmp_path: Path, url: str) -> None:
    assert PAGE.printed(tmp_path, url, "prices:mill") == PAGE.told()


def test_every_argument_of_a_policy_is_explained() -> None:
    assert {field.name for field in fields(Retry)} <= PAGE.explained()


def test_every_decision_has_its_row() -> None:
    logged = set(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", PAGE.text, re.MULTILINE))
    with_reasons = {what for what in Event if {"reason", "attempt"} <= what.fields}
    assert {what.event_name for what in with_reasons} - logged == {
        Event.JOB_RELEASED.event_name,
        Event.JOB_REFUSED.event_name,
    }
    assert logged <= {what.event_name for what in with_reasons}
