"""`mill.every`: the recurring jobs that an application declares, and when they are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Literal

from tidemill import validation
from tidemill.errors import InvalidArguments, InvalidInput
from tidemill.importing import is_importing
from tidemill.task import Definition, NamedTask, Task, named

if TYPE_CHECKING:
    from tidemill import recurring
    from tidemill.client import Client, Operation
    from tidemill.templates.template import Template


class Repeating:
    """The part of `Tidemill` that declares recurring jobs."""

    client: Client
    tasks: dict[str, Definition]

    def __init__(self) -> None:
        self._declared: dict[str, recurring.Recurring] = {}
        self._templates: dict[str, tuple[Template, Mapping[str, object]]] = {}

    def every(
        self,
        when: str | timedelta,
        task: Task[..., Any] | NamedTask[Any] | Template | str,
        *,
        tz: str | tzinfo | None = None,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
        name: str | None = None,
        missed: Literal["once", "skip", "all"] = "once",
    ) -> recurring.Recurring:
        """Enqueues a task, or jobs of a template, periodically: by a cron expression in a zone, or at an interval of
        at least a second.

        tz: an IANA zone for a cron expression; UTC by default.
        name: what the recurring job is called; by default as its task (the second of a task has a digest behind that).
            One that is published again under its name is replaced, so a change in the code is a change of the schedule.
        missed: what happens to occurrences while no scheduler was up: one job for all of them ("once"), none ("skip"),
            or each ("all").

        It lives in Redis, so schedulers need no code of yours. It is published at once, except at the top level of a
        module that is being imported: an import never talks to a server, and the worker that is given the module
        publishes. `remove_recurring` ends it. Raises InvalidInput for a wrong schedule, zone or name.
        """
        declared = self._declare(when, task, tz, args, kwargs, name, missed)
        if not is_importing():
            self.client.run(self.publish_recurring(declared))
        return declared

    async def aevery(
        self,
        when: str | timedelta,
        task: Task[..., Any] | NamedTask[Any] | Template | str,
        *,
        tz: str | tzinfo | None = None,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
        name: str | None = None,
        missed: Literal["once", "skip", "all"] = "once",
    ) -> recurring.Recurring:
        """`every` for async code."""
        declared = self._declare(when, task, tz, args, kwargs, name, missed)
        await self.client.arun(self.publish_recurring(declared))
        return declared

    def _declare(
        self,
        when: str | timedelta,
        task: Task[..., Any] | NamedTask[Any] | Template | str,
        tz: str | tzinfo | None,
        args: Sequence[object],
        kwargs: Mapping[str, object] | None,
        name: str | None,
        missed: str,
    ) -> recurring.Recurring:
        from tidemill import recurring

        if not isinstance(task, str | NamedTask | Task):
            return self._declare_template(when, task, tz, args, kwargs or {}, name, missed)
        known = named(self.client, self.tasks, task) if isinstance(task, str) else task
        if isinstance(known, Task):
            known.definition.check(*args, **(kwargs or {}))
        body = self.client.codec.encode_call(tuple(args), dict(kwargs or {}))
        return self._noted(recurring.declare(known.name, known.options, when, tz, body, name, missed), name)

    def _declare_template(
        self,
        when: str | timedelta,
        template: Template,
        tz: str | tzinfo | None,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        name: str | None,
        missed: str,
    ) -> recurring.Recurring:
        from tidemill import recurring
        from tidemill.templates.choosing import NEWEST

        if args:
            raise InvalidArguments(f"a template's arguments are given by name: give {args!r:.60} in kwargs")
        if isinstance(template.sender.version, str) and template.sender.version != NEWEST:
            raise InvalidInput(
                f"the version of a recurring job is chosen when an occurrence starts: version="
                f"{template.sender.version!r} can't be pinned, a number can"
            )
        body = self.client.codec.encode_call((), kwargs)
        declared = recurring.declare(template.name, template.sender.options, when, tz, body, name, missed)
        declared = self._noted(declared, name)
        self._templates[declared.name] = (template, dict(kwargs))
        return declared

    def _noted(self, declared: recurring.Recurring, name: str | None) -> recurring.Recurring:
        if name is None and self._declared.get(declared.name, declared) != declared:
            declared = declared.told_apart()
        self._declared[declared.name] = declared
        self._templates.pop(declared.name, None)
        return declared

    @property
    def declared(self) -> list[recurring.Recurring]:
        """The recurring jobs that `every` was called for in this process."""
        return list(self._declared.values())

    def publish_recurring(self, declared: recurring.Recurring) -> Operation[None]:
        """Writes one of them; that of a template with what the template says now."""
        from tidemill import recurring

        if (source := self._templates.get(declared.name)) is not None:
            template, arguments = source
            declared = yield from template.sender.occurrences(declared, arguments)
        yield from recurring.publish(self.client, declared)

    def remove_recurring(self, name: str) -> bool:
        """Ends a recurring job, by its name. Its occurrences that are jobs already stay. False: there was none."""
        return self.client.run(self._remove(name))

    async def aremove_recurring(self, name: str) -> bool:
        """`remove_recurring` for async code."""
        return await self.client.arun(self._remove(name))

    def _remove(self, name: str) -> Operation[bool]:
        self._declared.pop(name, None)
        self._templates.pop(name, None)
        known: int = yield self.client.scripts.undeclare(validation.recurring_name(name))
        return bool(known)
