"""Text of log values: `key=value` pairs in which nobody's data can forge a line, a field or a colour.

The format is logfmt (https://brandur.org/logfmt): pairs parted by spaces, values quoted when they need it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

FieldValue = str | int | float | bool | None
"""What a log event may carry: scalars only, so that no argument slips in inside of a structure."""

# A longer value is cut here: an identifier is far shorter, and a log line is not the place for a payload.
VALUE_CHARACTERS_MAX = 512
# A longer message or name of a logger is cut here: a page of text.
MESSAGE_CHARACTERS_MAX = 8_192
# A longer traceback loses its beginning: the exception itself stands at the end.
TRACEBACK_CHARACTERS_MAX = 32_768

# C0, DEL and C1 controls, line and paragraph separators, bidirectional overrides, lone surrogates: what can
# start a line, move a terminal's cursor, reorder what a reader sees, or fail to encode.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NEEDS_QUOTES = re.compile(r'[\s"=\\]')
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    return _SHORT_ESCAPES.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def escape(text: str) -> str:
    """`text` on one line: control characters as `\\n`, `\\x1b`, `\\u202e`."""
    return _UNSAFE.sub(_escape, text)


def cap(text: str, characters_max: int = VALUE_CHARACTERS_MAX) -> str:
    """At most `characters_max` characters of `text`; what was cut is said at the end."""
    if len(text) <= characters_max:
        return text
    return f"{text[:characters_max]}…(+{len(text) - characters_max})"


def logfmt(fields: Mapping[str, FieldValue]) -> str:
    """`fields` as ` key=value` pairs, each with a space before it; those that are None are left out.

    A key's unit moves to its value, for eyes: `delay_ms=1200` reads `delay=1.2s`.
    """
    return "".join(" " + _pair(key, value) for key, value in fields.items() if value is not None)


def _pair(key: str, value: FieldValue) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if key.endswith("_ms"):
            return f"{key[:-3]}={_duration(value)}"
        if key.endswith("_s"):
            return f"{key[:-2]}={_duration(value * 1000)}"
    return f"{key}={_quoted(value)}"


def _quoted(value: FieldValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = cap(str(value))
    if text and not _NEEDS_QUOTES.search(text):
        return escape(text)
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escape(inner)}"'


def _duration(ms: float) -> str:
    return f"{ms:.3g}ms" if abs(ms) < 1000 else f"{round(ms / 1000, 3):.10g}s"
