"""What a world may leave behind, after every job is over and forgotten: only what lives with the installation."""

from __future__ import annotations

from typing import Any

from simulation.ledger import Violation
from simulation.world import QUEUES, World
from tidemill.errors import GroupMissing
from tidemill.wire.command import Command
from tidemill.wire.keys import GROUP


def check(world: World) -> None:
    """Raises Violation for a key without an owner, and for a consumer without a worker."""
    keys = world.scripts.keys
    streams = [stream for queue in QUEUES for stream in keys.lanes(queue)]
    lasting = {keys.queues, keys.tasks, keys.events, keys.audit, *(keys.queue(queue) for queue in QUEUES), *streams}
    found = world.apply("driver", Command(("KEYS", f"{keys.root}*"), _names))
    left = [key for key in found if key not in lasting]
    if left:
        raise Violation(f"keys that nobody owns: {left}")
    for stream in streams:
        if stream in found:
            consumers = _consumers_of(world, stream)
            if consumers:
                raise Violation(f"consumers of {stream} without a worker: {consumers}")


def _consumers_of(world: World, stream: str) -> list[str]:
    try:
        return world.apply("driver", Command(("XINFO", "CONSUMERS", stream, GROUP), _consumers))
    except GroupMissing:  # it was destroyed, and nobody has read since
        return []


def _names(reply: Any) -> list[str]:
    """In one order on every server."""
    return sorted(key.decode() for key in reply)


def _consumers(reply: Any) -> list[str]:
    """Their names; how long they were idle differs from run to run."""
    return sorted(consumer[1].decode() for consumer in reply)
