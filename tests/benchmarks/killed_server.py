"""kill -9 of a server whose disk takes its time to sync: which of its acknowledged writes are gone, and at what price.

Run it with `.venv/bin/python tests/benchmarks/killed_server.py [valkey|redis7|redis8]`; it needs a C compiler (cc).

With `appendfsync everysec` the server writes to its file before it answers, but not while a sync is under way in the
background: then it answers, and writes later (up to two seconds, after which it counts an `aof_delayed_fsync`, and
waits). What it has not written dies with the process.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from servers import Server

SECONDS = 3.3
SLOW_SYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int sync_slowly(const char *name, int fd) {
    const char *wait_ms = getenv("SYNC_MS");
    usleep(1000 * (wait_ms ? atoi(wait_ms) : 0));
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}
int fsync(int fd) { return sync_slowly("fsync", fd); }
int fdatasync(int fd) { return sync_slowly("fdatasync", fd); }
"""


def killed(flavour: str, policy: str) -> str:
    """Writes for a while, one after the other; kills the server, starts it again, and counts."""
    server = Server(flavour, "--appendfsync", policy)
    took: list[float] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        began = time.perf_counter()
        server.client.set(f"key-{len(took)}", "x")
        took.append(time.perf_counter() - began)
    server.kill()
    server.start()
    lost = len(took) - int(server.client.dbsize())
    server.close()
    return f"{len(took):7,} acknowledged  {lost:6,} lost  {statistics.median(took) * 1000:7.3f} ms a write"


def main(flavour: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        library = Path(place, "slow_sync.so")
        compile_it = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-ldl"]
        subprocess.run(compile_it, input=SLOW_SYNC.encode(), check=True)
        for policy, sync_ms in (
            ("everysec", 0),
            ("everysec", 600),
            ("everysec", 3000),
            ("no", 3000),
            ("always", 0),
            ("always", 5),
        ):
            os.environ.update(LD_PRELOAD=str(library), SYNC_MS=str(sync_ms))
            print(f"{flavour:7} {policy:9} a sync takes {sync_ms:5,} ms more  {killed(flavour, policy)}", flush=True)
        del os.environ["LD_PRELOAD"]


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["valkey"])
