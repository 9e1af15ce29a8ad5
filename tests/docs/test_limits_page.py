"""docs/limits.md: its programs print what it says, and its table is complete."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from docs.pages import Page
from tidemill import Limit

PAGE = Page("limits.md")


def test_the_programs_print_what_the_page_says(tmp_path: Path, url: str) -> None:
    assert PAGE.printed(tmp_path, url, "payments:mill") == PAGE.told()


def test_every_option_is_explained() -> None:
    explained = PAGE.explained()
    assert {"rate", "rate_key", "concurrency", "concurrency_key", "cost", "limits"} <= explained
    assert {field.name for field in fields(Limit)} <= set(re.findall(r"(\w+)=?[,)]", PAGE.text)) | explained
