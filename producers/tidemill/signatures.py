"""Checks a call's arguments against a function's signature, fast: so that a wrong call fails where it is made, and not
later in a worker.

`inspect.Signature.bind` takes several microseconds. A function that has the same parameters and does nothing is checked
by the interpreter itself in a tenth of one; the TypeError and its words are Python's own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable


def checker(function: Callable[..., object], name: str) -> Callable[..., object]:
    """A function that accepts what `function` accepts, returns None, and raises TypeError for anything else."""
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty, default=_absent(parameter))
        for parameter in inspect.signature(function).parameters.values()
    ]
    signature = str(inspect.Signature(parameters))
    # Only parameter names of a function that Python has compiled stand in this text.
    namespace: dict[str, Callable[..., object]] = {}
    exec(f"def check{signature}: pass", {"__builtins__": {}}, namespace)  # noqa: S102 - see above
    check = namespace["check"]
    check.__name__ = check.__qualname__ = name.rpartition(".")[2]
    return check


def _absent(parameter: inspect.Parameter) -> object:
    return parameter.empty if parameter.default is parameter.empty else None
