"""Finds the application that a command names as MODULE:APP."""

from __future__ import annotations

import importlib
import os
import sys

from tidemill.app import Tidemill
from tidemill.errors import InvalidInput


def load_app(path: str) -> Tidemill:
    """Imports MODULE (the current directory first) and returns its APP, a Tidemill; APP is `mill` if left out.

    Raises InvalidInput; an error in the module itself is raised as it is.
    """
    module_name, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise InvalidInput(f"{path!r} is no MODULE:APP: a module's name as in `import`, and a Tidemill in it")
    directory = os.getcwd()
    if directory not in sys.path:
        sys.path.insert(0, directory)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise  # the module is there, and what it imports is not
        raise InvalidInput(f"module {module_name!r} was not found from {directory}") from error
    found = getattr(module, attribute or "mill", None)
    if isinstance(found, Tidemill):
        return found
    names = [name for name, value in vars(module).items() if isinstance(value, Tidemill)]
    hint = f"it has {', '.join(names)}" if names else "it has none"
    raise InvalidInput(f"{path!r}: {attribute or 'mill'!r} is no Tidemill in module {module_name}; {hint}")
