"""A schema whose type is in this process: its form, and what only the type itself can check."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tidemill.templates.schema import pydantic_models
from tidemill.templates.schema.checker import compile_form
from tidemill.templates.schema.describe import describe
from tidemill.wire.envelope import Codec


class Schema:
    """The schema of a dataclass, a TypedDict or a pydantic model. Raises InvalidInput for what can't be described.

    `form` is what travels of it. A default in the type makes a name optional, and is no default of the template's: the
    task's own holds. `codec` is told of the dataclasses in it.
    """

    __slots__ = ("_checker", "_model", "form")

    def __init__(self, declared: type, codec: Codec | None = None) -> None:
        self.form = describe(declared, codec)
        self._checker = compile_form(self.form)
        self._model = declared if pydantic_models.is_model(declared) else None

    def check(self, sent: Mapping[str, object], given: Collection[str] = ()) -> None:
        """Check arguments as Checker.check does; those for a pydantic model by its own validators as well.

        Validators look at whole arguments: at `given` with `sent` over them where `given` is a map of defaults, at
        `sent` where nothing else is given. Where only names are given, they do not run.
        Raises InvalidArguments with the path of what is wrong.
        """
        self._checker.check(sent, given)
        if self._model is None:
            return
        if isinstance(given, Mapping):
            pydantic_models.validate(self._model, {**given, **sent})
        elif not given:
            pydantic_models.validate(self._model, dict(sent))

    def check_defaults(self, defaults: Mapping[str, object]) -> None:
        """Check what a template gives to every job. Raises InvalidArguments; no name is missing."""
        self._checker.check_defaults(defaults)
