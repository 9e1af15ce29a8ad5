"""docs/breakers.md: its programs print what it says, and its tables are complete."""

from __future__ import annotations

from pathlib import Path

from docs.pages import Page
from tidemill.breakers import BreakerOptions
from tidemill.telemetry import Event

PAGE = Page("breakers.md")


def test_the_programs_print_what_the_page_says(tmp_path: Path, url: str) -> None:
    assert PAGE.printed(tmp_path, url, "bank:mill") == PAGE.told()


def test_the_page_names_every_option() -> None:
    assert PAGE.first_column("`mill.breaker(name, ...)`") == set(BreakerOptions.__annotations__)


def test_the_page_names_every_event() -> None:
    assert PAGE.first_column("event") == {one.event_name for one in Event if one.event_name.startswith("breaker.")}
