"""The dataclasses that may travel: a registry filled by the application, never by what arrives.

A dataclass is sent as its registered name and a map of its init fields. The reader builds only types that
its own code has registered, so bytes in Redis can't choose what is imported or called.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from types import SimpleNamespace

from tidemill.errors import CorruptRecord, InvalidInput
from tidemill.names import type_name
from tidemill.wire.bounds import is_dataclass_instance, is_text_map

# How much of a name that came from the wire is repeated in an error message, in characters.
SHOWN_NAME_CHARS = 100


@dataclass(frozen=True, slots=True)
class CarriedType:
    """A registered dataclass: its name on the wire and the init fields that travel."""

    cls: type
    name: str
    field_names: tuple[str, ...]
    required: frozenset[str]

    def parts_of(self, instance: object) -> list[object]:
        """What travels of an instance: the registered name, and its init fields by name."""
        return [self.name, {name: getattr(instance, name) for name in self.field_names}]

    def build(self, values: Mapping[str, object]) -> object:
        """An instance from the fields that arrived.

        Fields that are missing take their defaults: an older producer may not know them yet.
        Raises CorruptRecord for fields that this process does not know, and when `__init__` refuses them.
        """
        if unknown := sorted(values.keys() - self.field_names):
            raise CorruptRecord(f"dataclass {self.name} has no field {_listed(unknown)} here: deploy the workers first")
        if missing := sorted(self.required - values.keys()):
            raise CorruptRecord(f"dataclass {self.name} came without its field {_listed(missing)}")
        try:
            return self.cls(**values)
        except Exception as error:  # whatever the application's __post_init__ raises
            raise CorruptRecord(f"dataclass {self.name} refused its fields: {type(error).__name__}: {error}") from error


class CarriedTypes:
    """The registry of one application. Registering again is harmless; a reloaded class replaces the old."""

    def __init__(self) -> None:
        self._by_type: dict[type, CarriedType] = {}
        self._by_name: dict[str, CarriedType] = {}

    def add(self, cls: type) -> None:
        """Register a dataclass and those that its fields' annotations reach.

        Raises InvalidInput when `cls` is no dataclass, or has an InitVar without a default: its value is
        gone once the instance exists, so the reader could not build it again.
        """
        if not (isinstance(cls, type) and is_dataclass(cls)):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may be untyped
            raise InvalidInput(f"{cls!r} is not a dataclass: only dataclasses can be registered")
        if cls in self._by_type:
            return
        init_fields = tuple(field for field in fields(cls) if field.init)
        if lost := _required_init_vars(cls):
            raise InvalidInput(
                f"dataclass {type_name(cls)} can't be carried: InitVar {_listed(lost)} can't be read back"
            )
        carried = CarriedType(
            cls=cls,
            name=type_name(cls),
            field_names=tuple(field.name for field in init_fields),
            required=frozenset(field.name for field in init_fields if _is_required(field)),
        )
        self._by_type[cls] = self._by_name[carried.name] = carried
        self._add_reachable(_class_annotations(cls))

    def add_annotations(self, function: Callable[..., object]) -> None:
        """Register the dataclasses that a function's annotations reach; skip what can't be resolved."""
        self._add_reachable(_annotations(function, getattr(function, "__globals__", {})))

    def of_type(self, cls: type) -> CarriedType | None:
        """The registration of exactly this class; a subclass has its own."""
        return self._by_type.get(cls)

    def refuses(self, value: object) -> bool:
        """Whether a value is an instance of a dataclass that is not registered."""
        return is_dataclass_instance(value) and type(value) not in self._by_type

    def build(self, parts: list[object]) -> object:
        """The instance whose `parts_of` arrived. Raises CorruptRecord when it can't be built here."""
        if len(parts) != 2 or not isinstance(parts[0], str) or not is_text_map(parts[1]):
            raise CorruptRecord("a dataclass that is not a name and a map of its fields")
        name, values = parts[0], parts[1]
        carried = self._by_name.get(name)
        if carried is None:
            raise CorruptRecord(
                f"dataclass {name[:SHOWN_NAME_CHARS]!r} is not registered here: "
                "annotate the task's parameter with it, or decorate it with @mill.carry"
            )
        return carried.build(values)

    def _add_reachable(self, annotations: Iterator[object]) -> None:
        seen: set[int] = set()
        waiting = list(annotations)
        while waiting:
            annotation = waiting.pop()
            if id(annotation) in seen:
                continue
            seen.add(id(annotation))
            waiting.extend(_parts(annotation))
            if isinstance(annotation, type) and is_dataclass(annotation):
                try:
                    self.add(annotation)
                except InvalidInput:
                    continue  # said when such a value is sent: a task may annotate what it never gets


def unregistered(cls: type) -> str:
    """Why an instance of a dataclass that is not registered is refused, and what to do."""
    return (
        f"dataclass {type_name(cls)} is not registered: "
        "annotate the task's parameter with it, or decorate it with @mill.carry"
    )


def _parts(annotation: object) -> Iterator[object]:
    """The annotations inside one: `list[X]`, `X | None`, `Callable[[X], Y]`, aliases, TypedDict fields."""
    if isinstance(annotation, list):  # the parameters of Callable[[X], Y]
        yield from typing.cast("list[object]", annotation)
        return
    yield from typing.get_args(annotation)
    for attribute in ("__origin__", "__supertype__", "__value__"):  # generics, NewType, `type X = ...`
        if (inner := getattr(annotation, attribute, None)) is not None:
            yield inner
    if isinstance(annotation, type) and typing.is_typeddict(annotation):
        yield from _class_annotations(annotation)


def _class_annotations(cls: type) -> Iterator[object]:
    for owner in cls.__mro__:
        module = sys.modules.get(owner.__module__)
        yield from _annotations(owner, vars(module) if module else {}, vars(owner))


def _annotations(
    owner: object, global_names: dict[str, object], local_names: Mapping[str, object] | None = None
) -> Iterator[object]:
    """Each annotation of `owner`, resolved on its own: one forward reference must not hide the others."""
    try:
        annotations: object = vars(owner).get("__annotations__") or getattr(owner, "__annotations__", None)
    except (NameError, TypeError):  # Python 3.14 evaluates here; an object may have no __dict__
        return
    if not isinstance(annotations, dict):
        return
    for name, annotation in typing.cast("dict[str, object]", annotations).items():
        holder = SimpleNamespace(__annotations__={name: annotation})
        locals_given = dict(local_names) if local_names is not None else None
        try:
            hints = typing.get_type_hints(holder, global_names, locals_given, include_extras=True)
        except Exception:  # noqa: BLE001, S112  # an annotation may be any expression, and raise anything
            continue
        yield from hints.values()


def _required_init_vars(cls: type) -> list[str]:
    from inspect import signature

    known = {field.name for field in fields(cls)}
    return [
        parameter.name
        for parameter in signature(cls).parameters.values()
        if parameter.name not in known
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _is_required(field: Field[object]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name[:SHOWN_NAME_CHARS]) for name in names[:10])
