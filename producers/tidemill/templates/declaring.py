"""`mill.template`: the templates that an application declares, and when they are published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from tidemill import validation
from tidemill.errors import InvalidInput
from tidemill.importing import is_importing
from tidemill.task import Definition, NamedTask, Task, named

if TYPE_CHECKING:
    from tidemill.client import Client
    from tidemill.templates.choosing import Choose
    from tidemill.templates.declared import TemplateOptions, Upcaster
    from tidemill.templates.sending import TemplateChoices
    from tidemill.templates.template import Template


class Templating:
    """The part of `Tidemill` that declares templates."""

    client: Client
    tasks: dict[str, Definition]

    def template(
        self,
        name: str,
        *,
        task: Task[..., Any] | NamedTask[Any] | str | None = None,
        defaults: Mapping[str, object] | None = None,
        schema: type | None = None,
        upcasters: Mapping[int, Upcaster] | None = None,
        version: int | str | None = None,
        choose: Choose = "at_enqueue",
        **options: Unpack[TemplateOptions],
    ) -> Template:
        """A template of jobs: with a `task`, what this code declares; without one, one that is known by its name.

        defaults: arguments that its jobs share, by name. A job is sent with what differs from them.
        schema: a dataclass, a TypedDict or a pydantic model that all arguments together have to fit.
        upcasters: version → function of a dict of its arguments, which gives those of the next: see
            `Template.upcaster`.
        version, choose: which version jobs are of: see `TemplateChoices`.
        options: queue, priority, expires, result_ttl, retry, timeout and critical of its jobs, as in `using`; those
            that are not given are the task's.

        What is declared is published as a version that never changes; the same again is the same version. That is done
        at once, except at the top level of a module that is being imported: then by the worker that is given the
        module, and by the first call that enqueues. Raises InvalidInput for what is wrong, InvalidArguments for
        defaults that do not fit, and what `publish` raises.
        """
        made = self._template(name, task, defaults, schema, upcasters, {"version": version, "choose": choose}, options)
        if task is not None and not is_importing():
            made.publish()
        return made

    async def atemplate(
        self,
        name: str,
        *,
        task: Task[..., Any] | NamedTask[Any] | str | None = None,
        defaults: Mapping[str, object] | None = None,
        schema: type | None = None,
        upcasters: Mapping[int, Upcaster] | None = None,
        version: int | str | None = None,
        choose: Choose = "at_enqueue",
        **options: Unpack[TemplateOptions],
    ) -> Template:
        """`template` for async code."""
        made = self._template(name, task, defaults, schema, upcasters, {"version": version, "choose": choose}, options)
        if task is not None:
            await made.apublish()
        return made

    def _template(
        self,
        name: str,
        task: Task[..., Any] | NamedTask[Any] | str | None,
        defaults: Mapping[str, object] | None,
        schema: type | None,
        upcasters: Mapping[int, Upcaster] | None,
        choices: TemplateChoices,
        options: TemplateOptions,
    ) -> Template:
        from tidemill.templates.declared import declare
        from tidemill.templates.template import Template

        validation.template_name(name)
        if task is None:
            if defaults is not None or schema is not None or options:
                raise InvalidInput(
                    f"template {name!r} is declared with defaults, a schema or options, and without its task: say task="
                )
            made = Template(self.client, self.tasks, name, None, choices)
        else:
            its = named(self.client, self.tasks, task) if isinstance(task, str) else task
            declared = declare(self.client, name, its, defaults or {}, schema, options)
            made = Template(self.client, self.tasks, name, declared, choices)
            self.client.catalog.declared[name] = declared
        for step, upcaster in (upcasters or {}).items():
            made.upcaster(step)(upcaster)
        return made
