"""The embedded server: a real Valkey under `./.tidemill/`, shared by every process in that directory.

Who may start it is decided by one lock file, and the lock is inherited by the server itself. So, by the
kernel's word, whoever holds the lock is the server or is about to be, and a free lock means that none is
alive. Nothing else is believed: a socket, a pid file or a lock file that a crash left behind heals itself,
a pid that now names another process misleads nobody, and a server whose socket was deleted never gets a
second one beside it that writes to the same files. Among many starters one gets the lock, the others wait
until its server answers, and take over should it die.

A running server is recognised by its answer, so the usual case costs one connection and one round trip.
The three words spoken for that need no client library, which keeps this module light to import.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tidemill.embedded_process import (
    PID_NAME,
    SOCKET_NAME,
    launch,
    log_tail,
    server_binary,
    server_lock,
    start_failed,
)
from tidemill.errors import ServerUnavailable

__all__ = ["EmbeddedServer", "ensure_running", "find", "stop"]

# Names the directory to use instead of `./.tidemill`.
DIRECTORY_VARIABLE = "TIDEMILL_DIR"
DIRECTORY_NAME = ".tidemill"

# How long a started server may take until it listens, and how long we wait for another process to start it.
START_TIMEOUT_SECONDS = 10.0
# How long a listening server may read its data: a full gigabyte takes some ten seconds on a slow disk.
LOADING_TIMEOUT_SECONDS = 120.0
# How long a server that accepted our connection may be silent. Its scripts take milliseconds.
ANSWER_TIMEOUT_SECONDS = 5.0
# How often a starting or ending server is looked at: well under what a start takes (30 ms).
POLL_INTERVAL_SECONDS = 0.01
# The longest socket path that every system accepts (macOS: 104 bytes with the final zero; Linux: 108).
SOCKET_PATH_LIMIT_BYTES = 103
# Where links to deep directories are kept. Not TMPDIR: it may differ between processes that must agree.
LINKS_ROOT = Path("/tmp")  # noqa: S108 - made private, and checked, in `_private_directory`


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A server that answered. `loading`: it is still reading its data, and refuses commands until then."""

    url: str
    pid: int
    directory: Path
    version: str
    loading: bool = False


def ensure_running(directory: Path | None = None) -> EmbeddedServer:
    """The directory's server, started if there was none, and ready for commands.

    `directory` is by default what TIDEMILL_DIR names, else `./.tidemill`; it is made if it does not exist.
    Raises ServerUnavailable: not installed, not able to start (with the last lines of its log), not
    answering, or not ready in time.
    """
    place = _place(directory)
    server = _probe(place)
    if server is not None and not server.loading:
        return server
    try:
        return _start_or_wait(place)
    except ServerUnavailable:
        raise
    except OSError as error:
        raise start_failed(place, str(error)) from error


def find(directory: Path | None = None) -> EmbeddedServer | None:
    """The directory's server if one runs, else None; nothing is started.

    Raises ServerUnavailable when there is one that does not answer.
    """
    return _probe(_place(directory))


def stop(directory: Path | None = None, timeout_seconds: float = 10) -> bool:
    """Stop the directory's server, and wait until its process is gone: True if there was one.

    The server writes all its data to disk first. Raises ServerUnavailable when it refuses (a full disk,
    say), does not answer, or is still there after `timeout_seconds`.
    """
    place = _place(directory)
    if _probe(place) is None:
        return False
    deadline = time.monotonic() + timeout_seconds
    _ask_to_end(place, timeout_seconds)
    while not _is_gone(place):
        if time.monotonic() > deadline:
            raise ServerUnavailable(f"{_named(place)} has not ended after {timeout_seconds:g} s")
        time.sleep(POLL_INTERVAL_SECONDS)
    _link(place).unlink(missing_ok=True)
    return True


def _place(directory: Path | None) -> Path:
    """The absolute directory, without symbolic links, so that every process names the same one."""
    if sys.platform == "win32":
        raise ServerUnavailable("the embedded server needs Linux or macOS: set TIDEMILL_URL instead")
    place = directory or Path(os.environ.get(DIRECTORY_VARIABLE) or DIRECTORY_NAME)
    try:
        place = place.resolve()
        owner = place.stat().st_uid if place.exists() else os.geteuid()
    except OSError as error:
        raise ServerUnavailable(f"the embedded server's directory {place} can't be used: {error}") from error
    if os.geteuid() not in {0, owner}:
        raise ServerUnavailable(
            f"{place} belongs to another user (uid {owner}), who could read your jobs: "
            f"set {DIRECTORY_VARIABLE} to a directory of your own"
        )
    return place


def _start_or_wait(place: Path) -> EmbeddedServer:
    binary = server_binary()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    launched = False
    waiting_since = time.monotonic()
    patience_seconds = START_TIMEOUT_SECONDS
    while time.monotonic() < waiting_since + patience_seconds:
        with server_lock(place) as lock:
            if lock is not None and launched:
                raise start_failed(place, "it ended at once")
            if lock is not None:
                launch(place, binary, lock)
                launched = True
        server = _probe(place)
        if server is not None and not server.loading:
            return server
        if server is not None:
            patience_seconds = LOADING_TIMEOUT_SECONDS
        time.sleep(POLL_INTERVAL_SECONDS)
    raise ServerUnavailable(
        f"{_named(place)} is there, but not ready after {patience_seconds:g} s: it still reads its data, "
        f"or {SOCKET_NAME} was deleted; end its process, and try again\n{log_tail(place)}"
    )


def _probe(place: Path) -> EmbeddedServer | None:
    """What answers on the socket; None when nobody listens, or it is just ending."""
    path = _socket_path(place)
    try:
        reply = _ask(path, "PING\r\nINFO server\r\nQUIT\r\n", ANSWER_TIMEOUT_SECONDS)
    except TimeoutError:
        raise ServerUnavailable(
            f"{_named(place)} has not answered for {ANSWER_TIMEOUT_SECONDS:g} s: is its process suspended?"
        ) from None
    except (FileNotFoundError, NotADirectoryError, ConnectionError, BlockingIOError):
        return None
    except OSError as error:
        raise ServerUnavailable(f"{_named(place)} can't be reached: {error}") from error
    return _server(place, path, reply) if reply else None


def _server(place: Path, path: Path, reply: str) -> EmbeddedServer:
    lines = reply.splitlines()
    info = dict(line.split(":", 1) for line in lines if ":" in line)
    if "process_id" not in info:
        raise ServerUnavailable(f"{_named(place)} answers {lines[0]!r}")
    return EmbeddedServer(
        url=f"unix://{quote(os.fsencode(path))}",
        pid=int(info["process_id"]),
        directory=place,
        version=info.get("valkey_version") or info["redis_version"],
        loading=lines[0].startswith("-LOADING"),
    )


def _ask(path: Path, commands: str, timeout_seconds: float) -> str:
    """Send commands of which the last one ends the connection; everything that was answered till then."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_seconds)
        connection.connect(os.fsencode(path))
        connection.sendall(commands.encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode("utf-8", "replace")


def _ask_to_end(place: Path, timeout_seconds: float) -> None:
    try:
        refusal = _ask(_socket_path(place), "SHUTDOWN\r\nQUIT\r\n", timeout_seconds)
    except (OSError, TimeoutError):
        return  # whether it is ending shows in its lock
    if refusal:
        raise ServerUnavailable(f"{_named(place)} answers {refusal.splitlines()[0]!r}\n{log_tail(place)}")


def _is_gone(place: Path) -> bool:
    with server_lock(place) as lock:
        return lock is not None


def _named(place: Path) -> str:
    try:
        pid = (place / PID_NAME).read_text(encoding="ascii").strip()
    except OSError:
        return f"the embedded server in {place}"
    return f"the embedded server in {place} (pid {pid})"


def _socket_path(place: Path) -> Path:
    """The path that clients connect to: the socket's own, or through a link where that is too long.

    The link's name follows from the directory's path, so every process finds the same one, and makes it
    anew when it was swept from the temporary directory.
    """
    path = place / SOCKET_NAME
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT_BYTES:
        return path
    link = _link(place)
    if place.exists():
        _make_private(link.parent)
        with suppress(FileExistsError):
            link.symlink_to(place)
    return link / SOCKET_NAME


def _link(place: Path) -> Path:
    name = hashlib.blake2b(os.fsencode(place), digest_size=8).hexdigest()
    return LINKS_ROOT / f"tidemill-{os.geteuid()}" / name


def _make_private(directory: Path) -> None:
    """Others may write to the temporary directory: a link in a directory of theirs could lead anywhere."""
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ServerUnavailable(
            f"{directory} must be a directory that is yours alone (mode 0700): remove it, "
            f"or set {DIRECTORY_VARIABLE} to a shorter path"
        )
