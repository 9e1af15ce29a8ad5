"""Fixtures of the breakers' tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakers import guarded_app
from breakers.calling import LASTING, OPTIONS
from conditions import eventually
from tidemill import Breaker, Tidemill
from tidemill.breakers import exchange, hub

TESTS = Path(__file__).resolve().parent.parent


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is there, and on a busy machine it may take longer to answer than a call would wait."""
    for module in (exchange, hub):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 15.0)


@pytest.fixture
def app(url: str, patient: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tidemill]:
    """The application that workers and their children import, on an empty server."""
    monkeypatch.setenv("TIDEMILL_URL", url)
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    mill = guarded_app.mill
    mill.client.breakers.join()
    mill.breakers.close("pay")  # its state is this process's, whatever a test before has left
    eventually(lambda: guarded_app.BREAKER.state == "closed", "the breaker is closed")
    yield mill
    guarded_app.mill.close()


@pytest.fixture
def breaker(mill: Tidemill, patient: None) -> Breaker:
    return mill.breaker("pay", **OPTIONS)


@pytest.fixture
def lasting(mill: Tidemill, patient: None) -> Breaker:
    return mill.breaker("pay", **LASTING)


@pytest.fixture
def elsewhere(url: str, patient: None) -> Iterator[Breaker]:
    """The same one in another application, which follows it."""
    with Tidemill(url) as other:
        found = other.breaker("pay", **OPTIONS)
        with found:
            pass
        yield found
