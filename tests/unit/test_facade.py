"""The public face: what can be imported from `tidemill`, and the tree of errors."""

from __future__ import annotations

import builtins
import re

import tidemill
from tidemill import errors

PUBLIC = {
    *("Tidemill", "Task", "AsyncTask", "Call", "call", "Retry", "Limit", "Breaker", "Template"),
    *("Job", "JobState"),
    *("Report", "Finding"),
    *("retry_call", "aretry_call", "current_job", "CurrentJob", "Fence", "once", "Effect"),
    *(
        "TidemillError",
        "InvalidInput",
        "UnserializableValue",
        "PayloadTooLarge",
        "InvalidArguments",
        "QueueFull",
        "JobExists",
        "BreakerOpen",
    ),
    *("JobNotFound", "JobFailed", "JobExpired", "JobCancelled", "CorruptRecord", "RemoteError"),
    *("ServerUnavailable", "EnqueueUnknown", "ServerUnsuitable", "StaleAttempt", "EffectUnknown"),
}
# Raised between worker and server alone: no caller meets it.
INTERNAL_ERRORS = {"GroupMissing"}


def test_the_public_names_are_these() -> None:
    assert set(tidemill.__all__) == PUBLIC
    assert len(tidemill.__all__) == len(PUBLIC)
    for name in tidemill.__all__:
        found = getattr(tidemill, name)
        assert found.__doc__, f"{name} has no documentation"


def test_everything_else_in_the_package_is_a_module() -> None:
    others = {name for name in vars(tidemill) if not name.startswith("_")} - PUBLIC
    assert all(type(getattr(tidemill, name)).__name__ == "module" for name in others), others


def drawn_tree() -> dict[str, tuple[str, str | None]]:
    """name -> (parent, built-in base) as the module's docstring draws it."""
    tree: dict[str, tuple[str, str | None]] = {}
    path: list[str] = ["TidemillError"]
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│ ]*)[├└]── (\w+)(?: \((\w+)\))?", line)
        if found:
            depth = 1 + len(found[1]) // 4
            path = [*path[:depth], found[2]]
            tree[found[2]] = (path[depth - 1], found[3])
    return tree


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    classes = {
        name: cls
        for name, cls in vars(errors).items()
        if isinstance(cls, type) and issubclass(cls, errors.TidemillError) and cls is not errors.TidemillError
    }
    drawn = drawn_tree()
    assert set(drawn) == set(classes)
    for name, (parent, builtin) in drawn.items():
        bases = [getattr(errors, parent)] + ([getattr(builtins, builtin)] if builtin else [])
        assert list(classes[name].__bases__) == bases, name


def test_every_error_is_public_but_one() -> None:
    assert set(drawn_tree()) - INTERNAL_ERRORS <= PUBLIC


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert tidemill.__version__ == version("tidemill")
