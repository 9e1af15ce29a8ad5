"""docs/templates.md: its programs print what it says, and its tables are complete."""

from __future__ import annotations

import inspect
from pathlib import Path

from docs.pages import Page
from tidemill import Tidemill
from tidemill.telemetry import Event
from tidemill.templates.declared import TemplateOptions

PAGE = Page("templates.md")


def test_the_programs_print_what_the_page_says(tmp_path: Path, url: str) -> None:
    assert PAGE.printed(tmp_path, url, "stock:mill", before=1) == PAGE.told()


def test_every_argument_of_a_template_is_explained() -> None:
    named = set(inspect.signature(Tidemill.template).parameters) - {"self", "name", "options"}
    assert PAGE.first_column("`mill.template(name, ...)`") == named | set(TemplateOptions.__annotations__)


def test_every_event_of_templates_has_its_row() -> None:
    assert PAGE.first_column("event") == {one.event_name for one in Event if one.event_name.startswith("template.")}
