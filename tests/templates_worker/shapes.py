"""Schemas of templates in tests."""

from __future__ import annotations

from typing import TypedDict


class Marked(TypedDict):
    mark: str
