"""Names that producer and worker must agree on."""

from __future__ import annotations

import sys
from pathlib import PurePath

# What Python calls the started script: in the process itself, and in a child that multiprocessing spawned.
_STARTED_SCRIPT = ("__main__", "__mp_main__")


def module_name(obj_module: str) -> str:
    """The importable name of a module, given an object's `__module__`.

    A started script calls itself `__main__`, but the worker imports it by its real name. So `__main__`
    becomes the name after `python -m`, else the file's name without `.py`. In a shell or under `python -c`
    there is no such name, and it stays `__main__`.
    """
    if obj_module not in _STARTED_SCRIPT:
        return obj_module
    script = sys.modules.get(obj_module) or sys.modules["__main__"]
    spec = getattr(script, "__spec__", None)
    if spec is not None and spec.name not in _STARTED_SCRIPT:
        return str(spec.name)
    file = getattr(script, "__file__", None)
    return PurePath(file).stem if file else "__main__"


def type_name(cls: type) -> str:
    """A class's name for messages and for the wire: `module.Qualname`, built-ins without their module."""
    module = module_name(cls.__module__)
    return cls.__qualname__ if module == "builtins" else f"{module}.{cls.__qualname__}"
