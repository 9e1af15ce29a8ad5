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

    def many(
        self, calls: Sequence[Mapping[str, object]], when: When | None = None, *, partial: bool = False
    ) -> Operation[list[Job[Any]]]:
        """Everything is checked and encoded before a job is sent."""
        ids = enqueueing.ids_of(self.options.job_id, self.options.unique, len(calls))
        if not ids:
            return []
        seen = self._recent() or (yield from self._current())
        version = self._version_of_all(seen, is_late=self.choose == "at_start")
        if version is None:
            return (yield from self._shared_out(seen, ids, calls, when, partial=partial))
        loaded = self._held(version) or (yield from self._load(seen, version))
        plan, new = self._made(loaded, ids, calls, when)
        return (yield from enqueueing.send(plan, new, partial=partial))

    def _shared_out(
        self, seen: Seen, ids: list[str], calls: Sequence[Mapping[str, object]], when: When | None, *, partial: bool
    ) -> Operation[list[Job[Any]]]:
        """As `many`, for jobs of several versions: those of one are sent together."""
        shares: dict[Version, list[int]] = {}
        for place, job_id in enumerate(ids):
            version = choosing.by_weight(_pointers(self.name, seen), job_id)
            assert version is not None
            shares.setdefault(version, []).append(place)
        made: list[tuple[enqueueing.Plan, list[NewJob]]] = []
        for version, places in shares.items():
            loaded = self._held(version) or (yield from self._load(seen, version))
            made.append(self._made(loaded, [ids[place] for place in places], [calls[place] for place in places], when))
        jobs: dict[str, Job[Any]] = {}
        for (plan, new), places in zip(made, shares.values(), strict=True):
            try:
                sent = yield from enqueueing.send(plan, new, partial=partial)
            except (QueueFull, ServerUnavailable, ServerUnsuitable) as error:
                error.enqueued = (*jobs.values(), *error.enqueued)
                raise
            jobs.update(zip((ids[place] for place in places), sent, strict=True))
        return [jobs[job_id] for job_id in ids]

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
        seen = self._recent() or (yield from self._current())
        version = self._version_of_all(seen, is_late=is_late)
        assert version is not None
        loaded = self._held(version) or (yield from self._load(seen, version))
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

    def _recent(self) -> Seen | None:
        """What is current, if nobody has to be asked or told."""
        declared, own = self.declared, self._own_version()
        if own is None:
            if declared is not None or self.client.catalog.is_unpublished(self.name):
                return None
            number = self._asked_for
        else:
            number = self._asked_for or own.number
        seen = self.client.catalog.recent(self.name, number, self._max_age_seconds)
        return seen if seen is None or own is None or self._asked_for or seen.looked == own else None

    def _current(self) -> Operation[Seen]:
        """Asks. What this process declares is published first, if that was not done; or again, if it was lost since."""
        catalog = self.client.catalog
        declared = self.declared or catalog.declared.get(self.name)
        if declared is not None and declared.version is None:
            yield from catalog.publish(declared)
        own = self._own_version()
        number = self._asked_for or (own.number if own is not None else 0)
        seen = yield from catalog.look(self.name, number)
        if self.declared is None or own is None or self._asked_for or seen.looked == own:
            return seen
        own = yield from catalog.publish(self.declared)
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
            if not is_late and seen.is_shared_out:
                return None
            if own is None:
                return choosing.named(pointers, choosing.NEWEST)
        if seen.looked is not None and not seen.is_retired:
            return seen.looked
        raise _refused(pointers, wanted or (own.number if own is not None else 0), is_retired=seen.is_retired)

    # -- what is sent -------------------------------------------------------------------------------------------

    def _held(self, version: Version) -> Loaded | None:
        if self._bound is not None and self._bound[0].version == version:
            return self._bound[0]
        return self.client.catalog.held(self.name, version)

    def _load(self, seen: Seen, version: Version) -> Operation[Loaded]:
        catalog, task = self.client.catalog, _pointers(self.name, seen).task
        return catalog.load(self.name, task, version, self.declared or catalog.declared.get(self.name))

    def _made(
        self, loaded: Loaded, ids: list[str], calls: Sequence[Mapping[str, object]], when: When | None
    ) -> tuple[enqueueing.Plan, list[NewJob]]:
        definition = self.tasks.get(loaded.content.task)
        bodies = self._bodies(loaded, definition, calls)
        options = self._options_of(loaded)
        if when is not None:
            options = replace(options, due_ms=when.due_ms, delay_ms=when.delay_ms)
        plan = enqueueing.Plan(self.client, loaded.content.task, options, ())
        if definition is not None and (definition.limits is not None or definition.tenant_of is not None):
            plan.calls = [Call((), {**loaded.defaults, **sent}) for sent in calls]
            plan.limits, plan.tenant_of = definition.limits, definition.tenant_of
        return plan, enqueueing.jobs_of(plan, ids, bodies)

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


def _refused(pointers: Pointers, number: int, *, is_retired: bool) -> InvalidInput:
    name = pointers.name
    if is_retired:
        return InvalidInput(
            f"version {number} of template {name!r} is retired, and nothing more is enqueued for it: take "
            f"version='newest', declare another one, or mill.templates.restore({name!r}, {number})"
        )
    newest = "all are retired" if pointers.newest is None else f"the newest is {pointers.newest.number}"
    return InvalidInput(f"template {name!r} has no version {number}; {newest} (`tidemill templates show {name}`)")
