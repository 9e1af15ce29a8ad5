"""Whose a job is: the tenants that share a queue fairly. See docs/fairness.md.

A tenant is named where a job is enqueued, or by an argument of the task. What Redis holds of it is a digest.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

from tidemill.errors import InvalidInput
from tidemill.wire.keys import Keys

if TYPE_CHECKING:
    from tidemill.wire.producing import NewJob

MAX_TENANT_CHARS: Final = 256
# Of a tenant, against the 1 of those without a weight: far apart enough for any plan of prices, near enough that the
# turns of the lightest still come.
MIN_WEIGHT: Final = 0.01
MAX_WEIGHT: Final = 100.0
# In the place of a digest: a job without a tenant among others that have one.
_NO_DIGEST: Final = "-" * 16

TenantOf = Callable[[Sequence[object], Mapping[str, object]], str]
"""The tenant of a call, from its arguments; "": none."""


class Arguments(Protocol):
    """The arguments of one job."""

    @property
    def args(self) -> tuple[object, ...]: ...
    @property
    def kwargs(self) -> Mapping[str, object]: ...


def name(what: str, value: object) -> str:
    """A tenant as text; "" for None, which is no tenant. Raises InvalidInput that names `what` it was."""
    if value is None:
        return ""
    text = str(value) if isinstance(value, (str, int, UUID)) and not isinstance(value, bool) else ""
    if 0 < len(text) <= MAX_TENANT_CHARS:
        return text
    raise InvalidInput(
        f"{what} must be a text of 1 to {MAX_TENANT_CHARS} characters, a whole number, a UUID, or None for no tenant, "
        f"not {str(value)[:40]!r}"
    )


def from_argument(task: str, function: Callable[..., Any], key: object) -> TenantOf:
    """Reads the tenant from the argument of this name. Raises InvalidInput if the function takes none."""
    parameters = inspect.signature(function).parameters
    named = [
        parameter
        for parameter in parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    found = parameters.get(key) if isinstance(key, str) else None
    if found not in named:
        known = ", ".join(parameter.name for parameter in named) or "none"
        raise InvalidInput(f"task {task}: tenant_key={key!r} names no argument; these are: {known}")
    assert found is not None
    what = f"the tenant of {task}, its argument {found.name!r},"
    default = None if found.default is found.empty else found.default
    place = len(named) if found.kind is found.KEYWORD_ONLY else named.index(found)

    def tenant_of(args: Sequence[object], kwargs: Mapping[str, object]) -> str:
        return name(what, args[place] if len(args) > place else kwargs.get(found.name, default))

    name(what, default)
    return tenant_of


def digests(
    tenant: str | None, tenant_of: TenantOf | None, calls: Iterable[Arguments], jobs: Iterable[NewJob]
) -> str | dict[str, str]:
    """Of the jobs of a call: one digest for all ("": they have no tenant), or that of each job, by its id.

    tenant: the name that was given for all; None: it follows from the arguments, if at all.
    """
    if tenant is not None or tenant_of is None:
        return Keys.tenant(tenant) if tenant else ""
    names = [tenant_of(call.args, call.kwargs) for call in calls]
    if len(set(names)) == 1:
        return Keys.tenant(names[0]) if names[0] else ""
    by_name = {one: Keys.tenant(one) if one else _NO_DIGEST for one in set(names)}
    return {job.id: by_name[one] for job, one in zip(jobs, names, strict=True)}


def joined(found: str | Mapping[str, str], jobs: Iterable[NewJob]) -> str:
    """As the script takes them: one digest for all of these jobs, or one of each."""
    return found if isinstance(found, str) else "".join([found[job.id] for job in jobs])


def named(tenant: str | None, tenant_of: TenantOf | None, calls: Iterable[Arguments], digest: str) -> str:
    """The name of the tenant of a call that has this digest."""
    if tenant is not None or tenant_of is None:
        return tenant or ""
    names = (tenant_of(call.args, call.kwargs) for call in calls)
    return next((one for one in names if Keys.tenant(one) == digest), "")
