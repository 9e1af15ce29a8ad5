"""Finds the version of a job that was taken, among those that are held. It asks nobody.

All jobs of a version have the same options, byte for byte: what they say is read once and looked up from then on. Of
one batch of jobs the first alone asks the cache, for which a batch is one use.
"""

from __future__ import annotations

from typing import Final

from tidemill.errors import CorruptRecord
from tidemill.task import Definition
from tidemill.templates.choosing import pick
from tidemill.wire.scripts import Taken
from tidemill.wire.templating import Pointers
from tidemill_consumers import pipeline
from tidemill_consumers import terms as job_terms
from tidemill_consumers.cache import Cache
from tidemill_consumers.outcomes import Outcome
from tidemill_consumers.run import Run
from tidemill_consumers.templates.pointers import KnownPointers
from tidemill_consumers.templates.usage import Usage
from tidemill_consumers.templates.version import REFERENCE_DIGEST_BYTES, Key, Resolved
from tidemill_consumers.templates.wanted import Wanted, wanted_by

_OTHER_TASK: Final = "its template is of another task"


class Resolver:
    """`resolve` and `count` are the reader's; the rest is for any thread."""

    def __init__(self, cache: Cache[Key, Resolved], pointers: KnownPointers, usage: Usage) -> None:
        self._cache = cache
        self._pointers = pointers
        self._usage = usage
        self._found: dict[bytes, Resolved] = {}  # by options: in the batch that is under way
        self._used: list[Key] = []
        self._missed: list[Key] = []

    def resolve(self, taken: Taken, definition: Definition) -> Run | Outcome:
        """A run; one of a version that is not held has `wanted`, and has to wait for it."""
        version = self._found.get(taken.options)
        if version is None or version.definition is not definition:
            return self._resolve(taken, definition)
        self._used.append(version.key)
        retry, timeout_ms, critical = version.terms
        run = Run(taken, definition, retry, timeout_ms, critical)
        run.bind = version.bind
        return run

    def _resolve(self, taken: Taken, definition: Definition) -> Run | Outcome:
        try:
            wanted = wanted_by(taken.options)
        except CorruptRecord as error:
            return pipeline.corrupt(str(error))
        key, digest = wanted.key, wanted.digest
        if wanted.is_late:
            chosen = self.chosen(wanted, taken)
            if chosen is None:
                return _waiting(taken, definition, wanted)
            key, digest = chosen
        self._used.append(key)
        version = self._cache.get(key)
        if version is None or version.digest != digest:
            self._missed.append(key)
            return _waiting(taken, definition, wanted)
        if not wanted.is_late and wanted.carried is None:
            self._found[taken.options] = version
        run = Run(taken, definition, definition.retry, definition.timeout_ms, definition.critical)
        return apply(run, wanted, version) or run

    def count(self) -> None:
        """The end of a batch of jobs."""
        if self._used:
            self._usage.count(self._used, self._missed)
            self._used, self._missed, self._found = [], [], {}

    def chosen(self, wanted: Wanted, taken: Taken) -> tuple[Key, bytes] | None:
        """The version that is current for this job; None: that is not known here."""
        pointers = self._pointers.get(wanted.key.name)
        return None if pointers is None else choose(pointers, taken)


def choose(pointers: Pointers, taken: Taken) -> tuple[Key, bytes] | None:
    """The version that is current for this job; None: all are retired."""
    version = pick(pointers, taken.id)
    return None if version is None else (Key(pointers.name, version.number), version.digest[:REFERENCE_DIGEST_BYTES])


def apply(run: Run, wanted: Wanted, version: Resolved) -> Outcome | None:
    """Makes the run one of this version. An outcome: that can't be."""
    if version.definition is not run.definition:
        return pipeline.corrupt(_OTHER_TASK)
    terms = version.terms
    if wanted.carried is not None:
        try:
            terms = job_terms.changed(terms, wanted.carried)
        except CorruptRecord as error:
            return pipeline.corrupt(f"its options can't be read: {error}")
    run.retry, run.timeout_ms, run.critical = terms
    is_what_it_was_written_for = (version.key, version.digest) == (wanted.key, wanted.digest)
    run.bind = version.bind if is_what_it_was_written_for else version.bind_late
    run.wanted = None
    return None


def _waiting(taken: Taken, definition: Definition, wanted: Wanted) -> Run:
    """By the terms of its task until its version is there: no attempt of it begins before."""
    run = Run(taken, definition, definition.retry, definition.timeout_ms, definition.critical)
    run.wanted = wanted
    return run
