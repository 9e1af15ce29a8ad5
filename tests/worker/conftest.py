"""Fixtures of the worker's tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tidemill import Tidemill
from tidemill_consumers import settings
from tidemill_scheduler import settings as scheduler_settings
from worker import jobs_app
from worker.processes import TESTS


@pytest.fixture
def app(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tidemill]:
    """The application that worker processes and child processes import, on an empty server."""
    monkeypatch.setenv("TIDEMILL_URL", url)
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    yield jobs_app.mill
    jobs_app.mill.close()


@pytest.fixture
def keep_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The executor alone: jobs that wait behind a long one are not handed back to the server."""
    monkeypatch.setattr(settings, "HAND_BACK_MS", 60_000)


@pytest.fixture
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases of these tests are shorter than the time in which an idle scheduler looks for new ones."""
    monkeypatch.setattr(scheduler_settings, "IDLE_MS", 200)
