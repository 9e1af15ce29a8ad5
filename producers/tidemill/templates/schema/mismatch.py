"""What does not fit, where, and how a value is shown: shortened, and never a container's content."""

from __future__ import annotations

from collections.abc import Sized
from typing import cast

# How much of a text, of bytes or of a number is shown in a message, in characters.
_SHOWN_VALUE_CHARS = 40

# How much of a name that is not known is shown, in characters.
_SHOWN_NAME_CHARS = 40

# How much of a path is shown, in characters: its beginning, since that is the argument's name.
_SHOWN_PATH_CHARS = 200

# Texts longer than this are cut before they are written out, so that a message never costs what a body does.
_WRITTEN_OUT_CHARS = 2 * _SHOWN_VALUE_CHARS

# An int of more bits is not written out: Python itself refuses to, past 4300 digits.
_SHOWN_INT_BITS = 128


class Mismatch:
    """A value that does not fit. Checks return it, and each level above adds its step to the path."""

    __slots__ = ("expected", "problem", "steps", "value")

    def __init__(self, expected: str, value: object, problem: str = "") -> None:
        self.expected = expected
        self.value = value
        self.problem = problem
        self.steps: list[str] = []

    def within(self, step: str) -> Mismatch:
        """This mismatch, one level further out: `step` is `[2]` or `.price`."""
        self.steps.append(step)
        return self

    def __str__(self) -> str:
        path = cut("".join(reversed(self.steps)).removeprefix("."), _SHOWN_PATH_CHARS)
        return f"{path}: {self.problem or f'expected {self.expected}, got {shown(self.value)}'}"


class TooMuch(Exception):
    """A value that is nested too deep, or a form that branches too often, to be checked."""


def unknown_name(name: object) -> Mismatch:
    """A name that the schema does not have."""
    return Mismatch("", None, "unknown name").within(f".{shown_name(name)}")


def missing_name(name: str, problem: str = "missing") -> Mismatch:
    """A name without a default that was not given."""
    return Mismatch("", None, problem).within(f".{shown_name(name)}")


def shown_name(name: object) -> str:
    """A name of a field as text; other keys as their value."""
    return cut(name, _SHOWN_NAME_CHARS) if isinstance(name, str) else shown(name)


def shown_key(key: object) -> str:
    """A dict's key, as it stands in a path."""
    return cut(repr(key[:_WRITTEN_OUT_CHARS]), _SHOWN_NAME_CHARS) if isinstance(key, str) else shown(key)


def shown(value: object) -> str:
    """The type of a value, with the value itself where it is a scalar, or how many a container has."""
    name = cut(type(value).__name__, _SHOWN_NAME_CHARS) if value is not None else "None"
    if isinstance(value, (bool, float)):
        return f"{name} {value!r}"
    if isinstance(value, int):
        bits = value.bit_length()
        return f"{name} {int(value)}" if bits <= _SHOWN_INT_BITS else f"{name} of {bits} bits"
    if isinstance(value, (str, bytes)):
        return f"{name} {cut(repr(value[:_WRITTEN_OUT_CHARS]), _SHOWN_VALUE_CHARS)}"
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return f"{name} of {len(cast('Sized', value))}"
    return name


def cut(text: str, max_chars: int) -> str:
    """The beginning of a text."""
    return text if len(text) <= max_chars else f"{text[:max_chars]}…"
