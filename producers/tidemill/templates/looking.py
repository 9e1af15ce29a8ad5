"""What the server has of templates and their versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidemill import validation
from tidemill.client import Batch
from tidemill.errors import InvalidInput
from tidemill.templates.differences import TemplateDiff, difference
from tidemill.templates.shown import (
    TemplateContent,
    TemplateInfo,
    TemplateVersion,
    template_content,
    template_info,
    template_version,
)
from tidemill.wire.scripts import Pointers, VersionInfo

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

Which = int | str | None
"""A version: its number, the name of a label, or "newest"; None: the newest."""


def templates(client: Client) -> Operation[Sequence[TemplateInfo]]:
    names: Sequence[str] = yield client.scripts.template_names()
    found: Sequence[Pointers | None] = yield Batch([client.scripts.look_template(name) for name in names])
    return [template_info(pointers) for pointers in found if pointers is not None]


def template(client: Client, name: str) -> Operation[TemplateInfo]:
    """Raises InvalidInput for an unknown one."""
    pointers: Pointers | None = yield client.scripts.look_template(validation.template_name(name))
    if pointers is None:
        raise _unknown(name)
    return template_info(pointers)


def versions(client: Client, name: str) -> Operation[Sequence[TemplateVersion]]:
    """The newest first. Raises InvalidInput for an unknown template."""
    found: Sequence[VersionInfo] = yield client.scripts.template_versions(validation.template_name(name))
    if not found:
        raise _unknown(name)
    return [template_version(name, info) for info in found]


def version(client: Client, name: str, number: int) -> Operation[TemplateVersion]:
    """Raises InvalidInput for an unknown one."""
    found = yield from versions(client, name)
    return _numbered(found, name, number)


def show(client: Client, name: str, which: Which) -> Operation[TemplateContent]:
    """Raises InvalidInput for what there is not, or not any more, and CorruptRecord."""
    (content,) = yield from _contents(client, name, which)
    return content


def diff(client: Client, name: str, before: Which, after: Which) -> Operation[TemplateDiff]:
    """Raises as `show`."""
    first, second = yield from _contents(client, name, before, after)
    return difference(first, second)


def _contents(client: Client, name: str, *wanted: Which) -> Operation[Sequence[TemplateContent]]:
    info = yield from template(client, name)
    known = yield from versions(client, name)
    chosen = [_numbered(known, name, _number(info, which)) for which in wanted]
    data: Sequence[bytes | None] = yield Batch([client.scripts.read_template(name, one.number) for one in chosen])
    return [_read(one, found) for one, found in zip(chosen, data, strict=True)]


def _read(version: TemplateVersion, data: bytes | None) -> TemplateContent:
    if data is None:
        raise InvalidInput(
            f"the content of version {version.number} of template {version.name!r} is gone: whoever has its code can "
            "publish it again"
        )
    return template_content(version, data)


def _number(info: TemplateInfo, which: Which) -> int:
    if isinstance(which, int):
        return which
    if which is None or which == "newest":
        if info.newest is None:
            raise InvalidInput(f"template {info.name!r} has no newest version: all are retired")
        return info.newest
    for label in info.labels:
        if label.name == which:
            return label.version
    known = ", ".join(label.name for label in info.labels) or "none"
    raise InvalidInput(f"template {info.name!r} has no label {which!r}: its labels are {known}")


def _numbered(found: Sequence[TemplateVersion], name: str, number: int) -> TemplateVersion:
    for one in found:
        if one.number == number:
            return one
    raise InvalidInput(f"template {name!r} has no version {number}")


def _unknown(name: str) -> InvalidInput:
    return InvalidInput(f"there is no template {name!r}: nobody has published it on this server")
