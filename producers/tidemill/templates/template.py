"""A handle of a template: the calls that enqueue its jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack, cast

from tidemill import validation
from tidemill.errors import InvalidArguments, InvalidInput
from tidemill.job import Job
from tidemill.task import Call
from tidemill.templates.declared import Arguments, Declared, checked_step
from tidemill.templates.sending import Sender, TemplateChoices, When

if TYPE_CHECKING:
    from tidemill.client import Client
    from tidemill.task import Definition

F = TypeVar("F", bound=Callable[[Arguments], Arguments])


class Template:
    """What `mill.template(...)` returns. A job's arguments are the template's defaults, and what the call says instead:
    `template.enqueue(sku="A1")` sends what differs."""

    def __init__(
        self,
        client: Client,
        tasks: Mapping[str, Definition],
        name: str,
        declared: Declared | None,
        choices: TemplateChoices | None = None,
    ) -> None:
        self.name: Final = name
        self.sender: Final = Sender(client, tasks, name, declared, choices or {})

    def __repr__(self) -> str:
        version = self.sender.version
        return f"<Template {self.name}{'' if version is None else f', version {version}'}>"

    @property
    def task(self) -> str | None:
        """The name of the task that its jobs run; None for a handle by name alone, which need not know it."""
        declared = self.sender.declared
        return None if declared is None else declared.content.task

    def using(self, **choices: Unpack[TemplateChoices]) -> Template:
        """This template with other options, for these jobs: see `TemplateChoices`. Raises InvalidInput."""
        sender = self.sender
        together = cast(TemplateChoices, {**sender.choices, **choices})
        return Template(sender.client, sender.tasks, self.name, sender.declared, together)

    def upcaster(self, step: int) -> Callable[[F], F]:
        """Registers a function, as a decorator, that makes arguments of version `step` + 1 of those of version `step`:
        with it, this code runs jobs that were enqueued for an older version. It takes and gives a dict of all
        arguments. Steps are applied in rising order; one that has no upcaster changes nothing. Raises InvalidInput.
        """
        checked_step(step)

        def register(upcaster: F) -> F:
            if not callable(upcaster):
                raise InvalidInput(f"an upcaster is a function of a dict of arguments, not {upcaster!r}")
            self.sender.client.catalog.upcast(self.name, step, upcaster)
            return upcaster

        return register

    # -- publishing ---------------------------------------------------------------------------------------------

    def publish(self) -> int:
        """Publishes what this code declares, and says its number: the same content has the same again.

        Raises InvalidInput if the template has another task, or if nothing is declared: a handle by name alone.
        """
        return self.sender.client.run(self.sender.publish()).number

    async def apublish(self) -> int:
        """`publish` for async code."""
        return (await self.sender.client.arun(self.sender.publish())).number

    # -- enqueueing ---------------------------------------------------------------------------------------------

    def enqueue(self, /, **arguments: object) -> Job[Any]:
        """Makes a job of the defaults and these arguments. When it returns, the job is in Redis.

        Raises InvalidArguments for what the schema or the task does not take, InvalidInput for a template or a version
        that there is not, and what `Task.enqueue` raises. Safe to repeat with the same `job_id`: that makes no second
        job, even if another version is current by then.
        """
        return self.sender.client.run(self.sender.many((arguments,)))[0]

    async def aenqueue(self, /, **arguments: object) -> Job[Any]:
        """`enqueue` for async code."""
        return (await self.sender.client.arun(self.sender.many((arguments,))))[0]

    def enqueue_in(self, delay: timedelta | float, /, **arguments: object) -> Job[Any]:
        """As `enqueue`, but not to run before `delay` (a timedelta or seconds) has passed."""
        return self.sender.client.run(self.sender.many((arguments,), self._after(delay)))[0]

    async def aenqueue_in(self, delay: timedelta | float, /, **arguments: object) -> Job[Any]:
        """`enqueue_in` for async code."""
        return (await self.sender.client.arun(self.sender.many((arguments,), self._after(delay))))[0]

    def enqueue_at(self, when: datetime, /, **arguments: object) -> Job[Any]:
        """As `enqueue`, but not to run before `when`, an aware datetime; a past one runs now."""
        return self.sender.client.run(self.sender.many((arguments,), self._at(when)))[0]

    async def aenqueue_at(self, when: datetime, /, **arguments: object) -> Job[Any]:
        """`enqueue_at` for async code."""
        return (await self.sender.client.arun(self.sender.many((arguments,), self._at(when))))[0]

    def enqueue_many(self, calls: Iterable[Call], *, partial: bool = False) -> list[Job[Any]]:
        """A job for each call, in order: `template.enqueue_many([call(sku="A1"), call(sku="B2")])`.

        As `Task.enqueue_many`. Where labels share the jobs out, those of one version are sent together, so what is
        refused half-way need not be the last of the calls.
        """
        return self.sender.client.run(self.sender.many(_arguments(calls), partial=partial))

    async def aenqueue_many(self, calls: Iterable[Call], *, partial: bool = False) -> list[Job[Any]]:
        """`enqueue_many` for async code."""
        return await self.sender.client.arun(self.sender.many(_arguments(calls), partial=partial))

    def _after(self, delay: timedelta | float) -> When:
        return When(delay_ms=validation.duration_ms("delay", delay))

    def _at(self, when: datetime) -> When:
        return When(due_ms=validation.instant_ms("enqueue_at", when))


def _arguments(calls: Iterable[Call]) -> list[Mapping[str, object]]:
    found: list[Mapping[str, object]] = []
    for index, item in enumerate(calls):
        if not isinstance(item, Call):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise InvalidInput(f"enqueue_many takes call(...) objects; item {index} is {item!r}")
        if item.args:
            raise InvalidArguments(
                f"call {index}: a template's arguments are given by name, and {item.args!r:.60} are not"
            )
        found.append(item.kwargs)
    return found
