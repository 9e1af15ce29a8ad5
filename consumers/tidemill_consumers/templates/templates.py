"""What a worker has of job templates."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tidemill import telemetry
from tidemill.client import Client
from tidemill.connection import Link
from tidemill.task import Definition
from tidemill.wire.scripts import Taken
from tidemill_consumers import settings
from tidemill_consumers.contact import Contact
from tidemill_consumers.outcomes import Outcome
from tidemill_consumers.run import Run
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.templates.building import Builder
from tidemill_consumers.templates.loading import Host, Loader
from tidemill_consumers.templates.resolver import Resolver
from tidemill_consumers.templates.usage import Usage
from tidemill_consumers.templates.versions import Versions
from tidemill_consumers.templates.warming import Warming


class Templates:
    """`resolve` and `count` are for the reader, the rest for any thread."""

    def __init__(
        self,
        client: Client,
        link: Link,
        tasks: Mapping[str, Definition],
        worker_settings: WorkerSettings,
        host: Host,
        contact: Contact,
    ) -> None:
        builder = Builder(tasks, client.codec, client.signing, client.catalog.upcasters)
        self._usage = Usage()
        self._versions = Versions(
            link,
            client.scripts,
            builder,
            worker_settings.template_cache_entries,
            worker_settings.template_cache_bytes,
        )
        self._resolver = Resolver(self._versions.cache, self._versions.pointers, self._usage)
        warming = Warming(link, client.scripts, self._versions, self._usage)
        is_warming = worker_settings.template_warming
        self._loader = Loader(self._versions, self._usage, warming, host, contact, is_warming=is_warming)
        self._stop_measuring: Callable[[], None] | None = None

    def start(self) -> None:
        """Before the first job is taken."""
        self._stop_measuring = telemetry.template_cache_source(self._figures)
        self._loader.start()

    def close(self) -> None:
        self._loader.close()
        stop, self._stop_measuring = self._stop_measuring, None
        if stop is not None:
            stop()

    def resolve(self, taken: Taken, definition: Definition) -> Run | Outcome:
        """A run; one of a version that is not held has `wanted`, and is to be given to `hold`."""
        return self._resolver.resolve(taken, definition)

    def count(self) -> None:
        """The end of a batch of jobs."""
        self._resolver.count()

    def hold(self, run: Run) -> None:
        """Until its version is there: then `host.resolved` is told, or `host.finished`."""
        self._loader.hold(run)

    def waiting_count(self) -> int:
        return len(self._loader.waiting)

    def withdraw(self) -> list[Run]:
        """Gives up all that waits, and returns it."""
        return self._loader.waiting.withdraw()

    def withdraw_run(self, run: Run) -> bool:
        """True: it was waiting, and does not any more."""
        return self._loader.waiting.remove(run)

    def withdraw_late(self) -> list[Run]:
        """What has waited for so long that another worker may hold its version."""
        late = time.monotonic() - settings.TEMPLATE_HAND_BACK_MS / 1000
        return self._loader.waiting.withdraw(lambda run: run.taken_at < late)

    def changed(self, name: str) -> None:
        """Something was published, or labelled, or retired."""
        self._loader.changed([name])

    def connected(self) -> None:
        """Changes are heard from now on."""
        self._loader.connected()

    def _figures(self) -> telemetry.CacheFigures:
        stats, usage = self._versions.cache.stats(), self._usage
        hits = usage.total_uses - usage.total_misses
        return telemetry.CacheFigures(hits, usage.total_misses, stats.evicted, stats.entries, stats.bytes)
