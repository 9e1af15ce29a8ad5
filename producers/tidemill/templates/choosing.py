"""Which version a job is of.

What `version=` says goes before the weights of labels, and these before what code declares. A share of the jobs is
chosen by the job's id, so that a job that is enqueued again, or tried again, keeps its version while the labels stay.
"""

from __future__ import annotations

from typing import Final, Literal
from zlib import crc32

from tidemill import validation
from tidemill.errors import InvalidInput
from tidemill.templates.reference import MAX_NUMBER
from tidemill.wire.templating import Pointers, Version

Choose = Literal["at_enqueue", "at_start"]

NEWEST: Final = "newest"


def pick(pointers: Pointers, job_id: str) -> Version | None:
    """The version of a job that names none: by the weights of labels, else the newest; None: all are retired."""
    return by_weight(pointers, job_id) or pointers.newest


def by_weight(pointers: Pointers, job_id: str) -> Version | None:
    """That of the label whose share the job's id falls into; None: no label has a weight."""
    total = sum(label.weight for label in pointers.labels)
    if not total:
        return None
    place = crc32(job_id.encode()) % total
    for label in pointers.labels:
        place -= label.weight
        if place < 0:
            return label.version
    raise AssertionError("a place beyond all weights")


def named(pointers: Pointers, wanted: str) -> Version:
    """The version that a label, or "newest", stands for now. Raises InvalidInput for one that there is not."""
    if wanted == NEWEST:
        if pointers.newest is None:
            raise InvalidInput(
                f"all versions of template {pointers.name!r} are retired: publish another one, or restore one of them "
                "(`tidemill templates list`)"
            )
        return pointers.newest
    for label in pointers.labels:
        if label.name == wanted:
            return label.version
    known = ", ".join(repr(label.name) for label in pointers.labels) or "none"
    raise InvalidInput(
        f"template {pointers.name!r} has no label {wanted!r}; its labels are: {known}. Put it on a version by "
        "mill.templates.label(...)"
    )


def checked(version: object, choose: object) -> tuple[int | str | None, Choose]:
    """What a handle was given. Raises InvalidInput."""
    found: int | str | None
    if version is None or version == NEWEST:
        found = None if version is None else NEWEST
    elif isinstance(version, str):
        found = validation.label_name(version)
    else:
        found = validation.whole("version, unless it is a label or 'newest',", version, 1, MAX_NUMBER)
    if validation.one_of("choose", choose, ("at_enqueue", "at_start")) == "at_enqueue":
        return found, "at_enqueue"
    if found in (None, NEWEST):
        return found, "at_start"
    raise InvalidInput(
        f"version={version!r} is chosen when a job is enqueued, and choose='at_start' leaves it to the worker, by the "
        "weights of labels, else the newest: say one of them"
    )
