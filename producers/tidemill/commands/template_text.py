"""Templates as plain data, and as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, cast

from tidemill.templates.differences import TemplateChange, TemplateDiff
from tidemill.templates.shown import TemplateContent, TemplateInfo, TemplateVersion
from tidemill.wire.scripts import Published

# Of a value in a line of a difference; --json has all of it.
_MOST_CHARS: Final = 100
# Of a digest, to tell versions apart.
_DIGEST_CHARS: Final = 12


class PublishedTemplate(NamedTuple):
    """The name of a template, and what the server has answered."""

    name: str
    published: Published


def template(found: TemplateInfo) -> dict[str, object]:
    labels = [{"label": one.name, "version": one.version, "weight": one.weight} for one in found.labels]
    return {"template": found.name, "task": found.task, "newest": found.newest, "labels": labels}


def version(found: TemplateVersion) -> dict[str, object]:
    return {
        "template": found.name,
        "version": found.number,
        "digest": found.digest,
        "published": found.published.isoformat(),
        "retired": found.retired.isoformat() if found.retired else None,
        "bytes": found.size,
        "labels": list(found.labels),
    }


def content(found: TemplateContent) -> dict[str, object]:
    return {
        **version(found.version),
        "task": found.task,
        "defaults": _plain(found.defaults),
        "options": _plain(found.options),
        "schema": _plain(found.schema),
    }


def difference(found: TemplateDiff) -> dict[str, object]:
    changes = [
        {"path": one.path, "kind": one.kind, "before": _plain(one.before), "after": _plain(one.after)}
        for one in found.changes
    ]
    return {"template": found.name, "before": found.before, "after": found.after, "changes": changes}


def published(found: PublishedTemplate) -> dict[str, object]:
    name, (its_version, is_new, is_retired) = found
    return {
        "template": name,
        "version": its_version.number,
        "digest": its_version.digest.hex(),
        "new": is_new,
        "retired": is_retired,
    }


def table(found: Sequence[TemplateInfo]) -> str:
    rows = [(one.name, one.task, str(one.newest or "-"), _labels(one)) for one in found]
    return _table(("template", "task", "newest", "labels"), rows) if rows else "no templates"


def table_of_versions(found: Sequence[TemplateVersion]) -> str:
    rows = [
        (
            str(one.number),
            _time(one.published),
            str(one.size),
            one.digest[:_DIGEST_CHARS],
            f"retired {_time(one.retired)}" if one.retired else " ".join(one.labels),
        )
        for one in found
    ]
    return _table(("version", "published", "bytes", "digest", "labels"), rows)


def content_lines(found: TemplateContent) -> str:
    about = {**version(found.version), "task": found.task, **found.options}
    about["labels"] = " ".join(found.version.labels)
    lines = [f"{name:<12} {value}" for name, value in about.items() if value not in (None, "")]
    lines += ["", "defaults:", *(f"  {name} = {value!r}" for name, value in found.defaults.items())]
    lines += ["", "schema:", f"  {found.schema!r}"] if found.schema is not None else []
    return "\n".join(lines)


def difference_lines(found: TemplateDiff) -> str:
    if not found.changes:
        return f"versions {found.before} and {found.after} of {found.name} say the same"
    return "\n".join(map(_change, found.changes))


def published_lines(found: Sequence[PublishedTemplate]) -> str:
    return "\n".join(map(_published, found)) or "the application declares no templates"


def labels_line(found: TemplateInfo) -> str:
    return f"{found.name}: {_labels(found) or 'no labels'}"


def _published(found: PublishedTemplate) -> str:
    name, (its_version, is_new, is_retired) = found
    said = "published" if is_new else "was there already, and is retired" if is_retired else "was there already"
    return f"version {its_version.number} of {name} {said}"


def _change(one: TemplateChange) -> str:
    match one.kind:
        case "added":
            return f"+ {one.path}: {_short(one.after)}"
        case "removed":
            return f"- {one.path}: {_short(one.before)}"
        case "changed":
            return f"~ {one.path}: {_short(one.before)} -> {_short(one.after)}"


def _labels(found: TemplateInfo) -> str:
    return ", ".join(
        f"{one.name} {one.version}" + (f" (weight {one.weight})" if one.weight else "") for one in found.labels
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)]
    return "\n".join(line.rstrip() for line in lines)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_CHARS else f"{text[: _MOST_CHARS - 1]}…"


def _time(when: datetime) -> str:
    return when.isoformat(timespec="seconds")


def _plain(value: object) -> object:
    """What JSON can carry: keys of maps are texts there, and there are no sets."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in cast("Mapping[object, object]", value).items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in cast("Sequence[object]", value)]
    return value
