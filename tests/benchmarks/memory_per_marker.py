"""Server memory of the marker that `once` leaves for an effect.

Run it with `.venv/bin/python tests/benchmarks/memory_per_marker.py [valkey|redis7|redis8]`.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from servers import Server
from tidemill import Tidemill
from tidemill.ids import new_id
from tidemill.wire.scripts import Claim

MARKERS = 50_000
BATCH = 1_000
TTL_MS = 31 * 86_400_000


def bytes_per_marker(flavour: str) -> float:
    server = Server(flavour)
    with Tidemill(server.url) as mill:
        link, scripts = mill.client.link, mill.client.scripts
        server.client.hset(scripts.keys.job("a"), mapping={"s": "running", "l": "w", "a": 1})
        before = int(server.client.info("memory")["used_memory"])
        for start in range(0, MARKERS, BATCH):
            digests = [scripts.keys.digest("", f"sell {number}") for number in range(start, start + BATCH)]
            claims = [Claim("a", "w", 1, new_id()) for _ in digests]
            link.run_all(
                [
                    scripts.apply_effect(claim, digest, TTL_MS, [["PING"]])
                    for claim, digest in zip(claims, digests, strict=True)
                ]
            )
        taken = int(server.client.info("memory")["used_memory"]) - before
    server.close()
    return taken / MARKERS


if __name__ == "__main__":
    print(f"{bytes_per_marker(*sys.argv[1:2] or ['valkey']):4.0f} bytes a marker")
