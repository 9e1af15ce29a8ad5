"""python -m scenarios.dependency DIRECTORY: a small server that jobs call. It notes when each call came.

It answers after a while, "ok", or "down" while there is a file `down` in the directory. Its port stands in `port`, the
times of its calls in `calls`, one a line, unix seconds.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from chaos.processes import TESTS
from conditions import eventually

# How long it works on a call.
SERVICE_SECONDS: Final = 0.01
_CALL_SECONDS: Final = 10.0


def call(directory: Path) -> bool:
    """One call, in a connection of its own. False: it is down."""
    port = int((directory / "port").read_text(encoding="ascii"))
    with socket.create_connection(("127.0.0.1", port), _CALL_SECONDS) as connection:
        return connection.recv(16) == b"ok"


class Dependency:
    """Its process."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self._process = subprocess.Popen([sys.executable, "-m", "scenarios.dependency", str(directory)], cwd=TESTS)
        eventually((directory / "port").exists, "the dependency listens", 60)

    def fail(self) -> float:
        """It is down from now on: when."""
        (self.directory / "down").touch()
        return time.time()

    def heal(self) -> float:
        (self.directory / "down").unlink()
        return time.time()

    def calls(self) -> list[float]:
        """When they came."""
        return sorted(map(float, (self.directory / "calls").read_text(encoding="ascii").split()))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


async def _serve(directory: Path) -> None:
    with (directory / "calls").open("a", encoding="ascii", buffering=1) as calls:

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            calls.write(f"{time.time()}\n")
            await asyncio.sleep(SERVICE_SECONDS)
            writer.write(b"down" if (directory / "down").exists() else b"ok")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        waiting = directory / "port.new"
        waiting.write_text(str(server.sockets[0].getsockname()[1]), encoding="ascii")
        waiting.rename(directory / "port")
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
