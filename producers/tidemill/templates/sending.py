"""The operation behind a template's enqueue calls: which version, what differs, and then as for any other job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from tidemill import enqueueing
from tidemill.errors import InvalidArguments, InvalidInput, QueueFull, ServerUnavailable, ServerUnsuitable
from tidemill.job import Job
from tidemill.options import Choices, Options
from tidemill.task import Call
from tidemill.templates import choosing
from tidemill.templates.catalog import MAX_AGE_SECONDS, MAX_PINNED_AGE_SECONDS, Seen
from tidemill.templates.choosing import Choose
from tidemill.templates.declared import Declared
from tidemill.templates.loaded import Loaded
from tidemill.templates.reference import write
from tidemill.wire.scripts import NewJob
from tidemill.wire.templating import Pointers, Version

if TYPE_CHECKING:
    from tidemill.client import Client, Operation
    from tidemill.recurring import Recurring
    from tidemill.task import Definition


class TemplateChoices(Choices, total=False):
    """What `Template.using(...)` takes: `Choices`, and which version.

    version: its number, a label's name, or "newest"; None: by the weights of labels, else what this code declares,
        else the newest.
    choose: when a job is enqueued ("at_enqueue"), or by the worker that takes it ("at_start"), by the weights of
        labels, else the newest.
    """

    version: int | str | None
    choose: Choose


class When(NamedTuple):
    """When jobs are due: unix ms, or ms from now."""

    due_ms: int | None = None
    delay_ms: int = 0


class _Part(NamedTuple):
    """The jobs of one version; `places`: of its calls among all."""

    plan: enqueueing.Plan
    new: list[NewJob]
    places: Sequence[int]


class Sender:
    """Enqueues jobs of one template, with one set of choices. Raises InvalidInput for a wrong one."""

    def __init__(
        self,
        client: Client,
        tasks: Mapping[str, Definition],
        name: str,
        declared: Declared | None,
        choices: TemplateChoices,
    ) -> None:
        own = dict(choices)
        self.version, self.choose = choosing.checked(own.pop("version", None), own.pop("choose", "at_enqueue"))
        self.client: Final = client
        self.tasks: Final = tasks
        self.name: Final = name
        self.declared: Final = declared
        self.choices: Final = choices
        self._own = cast(Choices, own)
        self.options: Final = Options().using(self._own)
        self._bound: tuple[Loaded, Options] | None = None
        if isinstance(self.version, int):
            self._asked_for, self._max_age_seconds = self.version, MAX_PINNED_AGE_SECONDS
        else:
            self._asked_for, self._max_age_seconds = 0, MAX_AGE_SECONDS

    def one(self, arguments: Mapping[str, object], when: When | None = None) -> Operation[Job[Any]]:
        jobs = yield from self.many((arguments,), when)
        return jobs[0]

    def many(
        self, calls: Sequence[Mapping[str, object]], when: When | None = None, *, partial: bool = False
    ) -> Operation[list[Job[Any]]]:
        """Everything is checked and encoded before a job is sent."""
        ids = enqueueing.ids_of(self.options.job_id, self.options.unique, len(calls))
        if not ids:
            return []
        seen = yield from self._current()
        version = self._version_of_all(seen, is_late=self.choose == "at_start")
        if version is not None:
            part = yield from self._part(seen, version, ids, calls, range(len(ids)), when)
            return (yield from enqueueing.send(part.plan, part.new, partial=partial))
        parts: list[_Part] = []
        for version, places in _shares(_pointers(self.name, seen), ids).items():
            parts.append((yield from self._part(seen, version, ids, calls, places, when)))
        return (yield from _send_all(parts, len(ids), partial=partial))

    def publish(self) -> Operation[Version]:
        if self.declared is None:
            raise InvalidInput(
                f"template {self.name!r} was named here, not declared: there is nothing to publish. Declare it by "
                f"mill.template({self.name!r}, task=..., defaults=...)"
            )
        return (yield from self.client.catalog.publish(self.declared))

    def occurrences(self, recurring: Recurring, arguments: Mapping[str, object]) -> Operation[Recurring]:
        """The recurring job with what it takes from the template. Its version is chosen when an occurrence starts,
        unless it is pinned."""
        is_late = not isinstance(self.version, int)
        seen = yield from self._current()
        version = self._version_of_all(seen, is_late=is_late)
        assert version is not None
        loaded = yield from self._loaded(seen, version)
        loaded.check(arguments, self.tasks.get(loaded.content.task))
        sent = arguments if is_late else loaded.difference(arguments)
        options = loaded.options.using(self._own)
        return replace(
            recurring,
            task=loaded.content.task,
            body=self.client.codec.encode_call((), sent),
            queue=options.queue or "",
            priority=options.priority,
            expires_ms=options.expires_ms,
            result_ttl_ms=options.result_ttl_ms,
            options=write(loaded.reference(is_late=is_late), options.carried),
        )

    # -- which version ------------------------------------------------------------------------------------------

    def _current(self) -> Operation[Seen]:
        """What is current. What this process declares is published first, if that was not done, or was lost since."""
        catalog, own = self.client.catalog, self._own_version()
        if own is None:
            declared = self.declared or catalog.declared.get(self.name)
            if declared is not None and declared.version is None:
                yield from catalog.publish(declared)
                own = self._own_version()
        number = self._asked_for or (own.number if own is not None else 0)
        seen = catalog.recent(self.name, number, self._max_age_seconds) or (yield from catalog.look(self.name, number))
        if own is None or self._asked_for or (seen.looked is not None and seen.looked[0] == own.digest):
            return seen
        assert self.declared is not None
        own = yield from catalog.publish(self.declared)  # the server has lost it
        return (yield from catalog.look(self.name, own.number))

    def _own_version(self) -> Version | None:
        return None if self.declared is None else self.declared.version

    def _version_of_all(self, seen: Seen, *, is_late: bool) -> Version | None:
        """None: it is by weights, and by the job's id. Raises InvalidInput.

        is_late: the one that the arguments are written for; which one runs is chosen later.
        """
        pointers, wanted, own = _pointers(self.name, seen), self.version, self._own_version()
        if isinstance(wanted, str):
            return choosing.named(pointers, wanted)
        if wanted is None:
            if not is_late and choosing.is_shared_out(pointers):
                return None
            if own is None:
                return choosing.named(pointers, choosing.NEWEST)
        number = wanted or (own.number if own is not None else 0)
        if seen.looked is None:
            newest = "all are retired" if pointers.newest is None else f"the newest is {pointers.newest.number}"
            raise InvalidInput(
                f"template {self.name!r} has no version {number}; {newest} (`tidemill templates show {self.name}`)"
            )
        digest, is_retired = seen.looked
        if is_retired:
            raise InvalidInput(
                f"version {number} of template {self.name!r} is retired, and nothing more is enqueued for it: take "
                f"version='newest', declare another one, or mill.templates.restore({self.name!r}, {number})"
            )
        return Version(number, digest)

    # -- what is sent -------------------------------------------------------------------------------------------

    def _loaded(self, seen: Seen, version: Version) -> Operation[Loaded]:
        catalog = self.client.catalog
        held = catalog.held(self.name, version)
        if held is not None:
            return held
        task = _pointers(self.name, seen).task
        return (yield from catalog.load(self.name, task, version, self.declared or catalog.declared.get(self.name)))

    def _part(
        self,
        seen: Seen,
        version: Version,
        ids: list[str],
        calls: Sequence[Mapping[str, object]],
        places: Sequence[int],
        when: When | None,
    ) -> Operation[_Part]:
        loaded = self.client.catalog.held(self.name, version) or (yield from self._loaded(seen, version))
        if len(places) < len(ids):
            ids, calls = [ids[place] for place in places], [calls[place] for place in places]
        definition = self.tasks.get(loaded.content.task)
        bodies = self._bodies(loaded, definition, calls)
        options = self._options_of(loaded)
        if when is not None:
            options = replace(options, due_ms=when.due_ms, delay_ms=when.delay_ms)
        plan = enqueueing.Plan(self.client, loaded.content.task, options, ())
        if definition is not None and (definition.limits is not None or definition.tenant_of is not None):
            plan.calls = [Call((), {**loaded.defaults, **sent}) for sent in calls]
            plan.limits, plan.tenant_of = definition.limits, definition.tenant_of
        return _Part(plan, enqueueing.jobs_of(plan, ids, bodies), places)

    def _bodies(
        self, loaded: Loaded, definition: Definition | None, calls: Sequence[Mapping[str, object]]
    ) -> list[bytes]:
        """What is sent of each call: what differs from the defaults; all of it if these may be others at the start."""
        encode, bodies = self.client.codec.encode_call, list[bytes]()
        is_late = self.choose == "at_start"
        for index, sent in enumerate(calls):
            try:
                loaded.check(sent, definition)
                bodies.append(encode((), sent if is_late else loaded.difference(sent)))
            except InvalidArguments as error:
                if len(calls) == 1:
                    raise
                raise InvalidArguments(f"call {index}: {error}") from None
        return bodies

    def _options_of(self, loaded: Loaded) -> Options:
        """The version's options, these choices over them, and the reference to it."""
        if self._bound is not None and self._bound[0] is loaded:
            return self._bound[1]
        options = loaded.options.using(self._own)
        reference = loaded.reference(is_late=self.choose == "at_start")
        options = replace(options, carried=write(reference, options.carried))
        self._bound = (loaded, options)
        return options


def _pointers(name: str, seen: Seen) -> Pointers:
    if seen.pointers is not None:
        return seen.pointers
    raise InvalidInput(
        f"template {name!r} is not known: nobody has published it. Declare it where its task is, by "
        f"mill.template({name!r}, task=..., defaults=...); `tidemill templates list` has those that are"
    )


def _shares(pointers: Pointers, ids: Sequence[str]) -> dict[Version, list[int]]:
    """The places of the jobs of each version."""
    shares: dict[Version, list[int]] = {}
    for place, job_id in enumerate(ids):
        version = choosing.by_weight(pointers, job_id)
        assert version is not None
        shares.setdefault(version, []).append(place)
    return shares


def _send_all(parts: Sequence[_Part], count: int, *, partial: bool) -> Operation[list[Job[Any]]]:
    """The jobs in the order of their calls."""
    jobs: list[Job[Any] | None] = [None] * count
    for part in parts:
        try:
            made = yield from enqueueing.send(part.plan, part.new, partial=partial)
        except (QueueFull, ServerUnavailable, ServerUnsuitable) as error:
            error.enqueued = (*(job for job in jobs if job is not None), *error.enqueued)
            raise
        for place, job in zip(part.places, made, strict=True):
            jobs[place] = job
    return [job for job in jobs if job is not None]
