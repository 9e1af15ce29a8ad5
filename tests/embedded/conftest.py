"""A directory whose embedded server ends with the test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tidemill.embedded import stop


@pytest.fixture
def directory(tmp_path: Path) -> Generator[Path]:
    place = tmp_path / ".tidemill"
    yield place
    stop(place)
