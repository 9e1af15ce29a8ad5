"""Fixtures of the tests of effects."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from effects import effects_app
from effects.effects_app import SOLD
from servers import Server
from tidemill import Tidemill
from worker.processes import TESTS


@pytest.fixture
def app(url: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tidemill]:
    """The application that worker processes and child processes import, on an empty server."""
    monkeypatch.setenv("TIDEMILL_URL", url)
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    yield effects_app.mill
    effects_app.mill.close()
    server.client.delete(SOLD)


@pytest.fixture
def sold(app: Tidemill, server: Server) -> Callable[[], int]:
    """What was sold, as the server has it: the effect that is counted."""
    return lambda: int(server.client.get(SOLD) or 0)
