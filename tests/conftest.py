"""Fixtures: one real server a test process, emptied before each test; what a test leaves behind is checked."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from script_state import World
from servers import Server
from tidemill import Tidemill
from tidemill.wire import keys as keys_module
from tidemill_consumers.executors import thread

# Every key of the documentation, as patterns: a key that the table does not explain fails the test that made it.
_DOCUMENTED = [
    re.compile(re.escape("tm:{0}:") + re.sub(r"<[^>]+>", ".+", name) + "$")
    for name in re.findall(r"^\| `([^`]+)` \|", keys_module.__doc__ or "", re.MULTILINE)
]


# On a busy machine any example takes long, and says nothing of the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server of this test process. Tests that stop or harm a server start one of their own."""
    found = Server()
    yield found
    found.close()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """One that a test may harm. It writes before it answers: `everysec` puts that off while the disk is slow."""
    found = Server(None, "--appendfsync", "always")
    yield found
    found.close()


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """The URL of an empty server. Afterwards it holds no key that `wire/keys.py` does not explain."""
    server.flush()
    yield server.url
    unknown = [key for key in server.all_keys() if not any(pattern.match(key) for pattern in _DOCUMENTED)]
    assert not unknown, f"keys that the table in wire/keys.py does not explain: {unknown[:5]}"


@pytest.fixture
def mill(url: str) -> Iterator[Tidemill]:
    """An application on an empty server."""
    found = Tidemill(url)
    yield found
    found.close()


@pytest.fixture(scope="session")
def _world(server: Server) -> Iterator[World]:
    """One for a test process: to connect takes longer than most of what is asked of it."""
    found = World(server)
    yield found
    found.close()


@pytest.fixture
def world(url: str, _world: World) -> World:
    """An empty server whose whole state can be written and read, and on which scripts are called."""
    assert _world.server.url == url
    return _world


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    """Stays as it was: a command that runs in the test's own process sets up logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _no_server_for_what_is_tested_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other servers' runs leave such a test out, so it must not be about a server."""
    if request.node.get_closest_marker("once"):
        assert "server" not in request.fixturenames, "this test uses a server: take its pytest.mark.once away"

        def refuse(_: Server) -> None:
            pytest.fail("this test starts a server: take its pytest.mark.once away")

        monkeypatch.setattr(Server, "start", refuse)


@pytest.fixture(autouse=True)
def _no_interrupts_under_a_tracer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A traced thread that gets an exception may leave the tracer's lock behind it; and until it takes the exception,
    CPython 3.11 calls no traced function in any thread. `make test` runs the marked tests by themselves, untraced."""
    if sys.gettrace() is None or request.node.get_closest_marker("interrupts"):
        yield
        return
    sent: list[type[BaseException]] = []

    def note(_: int, kind: type[BaseException]) -> None:
        sent.append(kind)

    monkeypatch.setattr(thread, "_send", note)
    yield
    assert not sent, "an exception was to be sent to a thread: mark this test with pytest.mark.interrupts"


@pytest.fixture(autouse=True)
def _no_server_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's environment must not decide what a test talks to."""
    for name in (
        "TIDEMILL_URL",
        "TIDEMILL_DIR",
        "TIDEMILL_MAXMEMORY",
        "TIDEMILL_SERVER_BINARY",
        "TIDEMILL_APPENDFSYNC",
        "TIDEMILL_SIGNING_KEYS",
        "TIDEMILL_ACCEPT_UNSIGNED",
    ):
        monkeypatch.delenv(name, raising=False)
