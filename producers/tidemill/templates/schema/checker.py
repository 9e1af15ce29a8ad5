"""Forms, which may come from a server, to compiled checks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NoReturn

from tidemill.errors import CorruptRecord, InvalidArguments
from tidemill.templates.schema import checks
from tidemill.templates.schema.checks import Check, Walk
from tidemill.templates.schema.forms import CONTAINERS, MAX_NODES, MAX_TYPE_LEVELS, SCALARS, VERSION
from tidemill.templates.schema.mismatch import Mismatch, TooMuch, missing_name, shown_name, unknown_name
from tidemill.wire.bounds import is_list, is_text_map

_LITERALS: Final = (type(None), bool, int, str, bytes)

# A node may stand as deep as a type may; then come its union and its literal.
_MAX_LEVELS: Final = MAX_TYPE_LEVELS + 2

# How many nodes a message looks into, to say what was expected.
_LABEL_LEVELS: Final = 3

# How many alternatives of each: some more than are shown.
_LABELS: Final = 8


class Checker:
    """Checks arguments against a compiled form. May be used by many threads at once."""

    __slots__ = ("_fields", "_is_open", "_required")

    def __init__(self, fields: Mapping[str, Check], required: frozenset[str], is_open: bool) -> None:
        self._fields = fields
        self._required = required
        self._is_open = is_open

    def check(self, sent: Mapping[str, object], given: Collection[str] = ()) -> None:
        """Check the arguments that are sent, or merged; `given` are the names that defaults provide.

        Raises InvalidArguments with the path of the first thing that is wrong, as
        `items[2].price: expected a number, got str 'x'`: a name that is not known, a value of another type, then a
        name that neither `sent` nor `given` has.
        """
        self._checked(sent, None if self._required <= sent.keys() else given)

    def check_defaults(self, defaults: Mapping[str, object]) -> None:
        """Check what a template gives to every job. Raises InvalidArguments; no name is missing."""
        self._checked(defaults, self._required)

    def _checked(self, sent: Mapping[str, object], given: Collection[str] | None) -> None:
        try:
            flaw = self._flaw_of(sent)
        except TooMuch as error:
            raise InvalidArguments(f"arguments can't be checked: {error}") from None
        except RecursionError:
            raise InvalidArguments("arguments can't be checked: nested too deep, or one contains itself") from None
        if flaw is None and given is not None and (missing := self._required.difference(sent, given)):
            flaw = missing_name(min(missing), "missing: neither the call nor the template's defaults have it")
        if flaw is not None:
            raise InvalidArguments(str(flaw))

    def _flaw_of(self, sent: Mapping[str, object]) -> Mismatch | None:
        walk, check_of = Walk(), self._fields.get
        for name, value in sent.items():
            fits = check_of(name)
            if fits is not None:
                if (flaw := fits(value, walk)) is not None:
                    return flaw.within(f".{name}")
            elif not self._is_open:
                return unknown_name(name)
        return None


def compile_form(form: object) -> Checker:
    """The checker of a form. Raises CorruptRecord for what no Tidemill wrote, whatever it is."""
    if not is_list(form) or not form or type(form[0]) is not int:
        refuse("not a list that begins with its version")
    if form[0] != VERSION:
        refuse(f"of version {form[0]}, which a newer Tidemill wrote: update this process")
    if len(form) != 3 or not is_list(form[2]):
        refuse("not its version, a record and definitions")
    return _Compiling(form[2]).checker(form[1])


def refuse(problem: str) -> NoReturn:
    """Raise CorruptRecord for a form."""
    raise CorruptRecord(f"a template's schema that can't be read: {problem}")


class _Compiling:
    """One form that is being compiled, with what it has cost so far."""

    def __init__(self, definitions: list[object]) -> None:
        self._definitions = definitions
        self._checks: list[Check] = []
        self._nodes = 0
        self._levels = 0

    def checker(self, root: object) -> Checker:
        if not is_list(root) or len(root) != 4 or root[0] != "record":
            refuse("its root is no record")
        self._checks.extend(self.node(definition) for definition in self._definitions)
        fields, required, is_open = self._record(root)
        return Checker(fields, required, is_open)

    def node(self, node: object) -> Check:
        self._count(1)
        if type(node) is str:
            if node == "any":
                return checks.anything
            return checks.scalar(node) if node in SCALARS else refuse("a node of an unknown kind")
        if not is_list(node) or not node or type(node[0]) is not str:
            refuse("a node that is neither a name nor a list")
        self._levels += 1
        if self._levels > _MAX_LEVELS:
            refuse(f"nested in more than {_MAX_LEVELS} levels")
        kind = "elements" if node[0] in CONTAINERS else node[0]
        made = _KINDS.get(kind, _Compiling.of_unknown)(self, node)
        self._levels -= 1
        return made

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            refuse(f"made of more than {MAX_NODES} nodes, fields and values")

    def of_unknown(self, node: list[object]) -> Check:
        refuse("a node of an unknown kind")

    def of_elements(self, node: list[object]) -> Check:
        _expect(node, 2)
        return checks.elements(str(node[0]), self.node(node[1]))

    def of_tuple(self, node: list[object]) -> Check:
        return checks.exact_tuple([self.node(inner) for inner in _nodes(node)])

    def of_dict(self, node: list[object]) -> Check:
        _expect(node, 3)
        return checks.entries(self.node(node[1]), self.node(node[2]))

    def of_literal(self, node: list[object]) -> Check:
        values = _nodes(node)
        self._count(len(values))
        if not values or any(type(value) not in _LITERALS for value in values):
            refuse("a literal that is not made of None, bool, int, str and bytes")
        return checks.literal(values)

    def of_union(self, node: list[object]) -> Check:
        alternatives = _nodes(node)
        if not alternatives:
            refuse("a union of nothing")
        exact = frozenset(
            cls for kind in alternatives if type(kind) is str and kind in SCALARS for cls in checks.classes_of(kind)
        )
        expected = self._labels(alternatives[:_LABELS], _LABEL_LEVELS)
        return checks.union([self.node(inner) for inner in alternatives], exact, expected)

    def of_map(self, node: list[object]) -> Check:
        _expect(node, 4)
        return checks.fields_of_dict(*self._record(node))

    def of_dataclass(self, node: list[object]) -> Check:
        _expect(node, 3)
        name, fields = node[1], node[2]
        if type(name) is not str or not is_text_map(fields):
            refuse("a dataclass that is not a name and a map of its fields")
        self._count(len(fields))
        return checks.fields_of_instance(name, {field: self.node(inner) for field, inner in fields.items()})

    def of_reference(self, node: list[object]) -> Check:
        _expect(node, 2)
        return checks.reference(self._checks, self._index(node))

    def _index(self, node: list[object]) -> int:
        index = node[1]
        if type(index) is not int or not 0 <= index < len(self._definitions):
            refuse("a reference to no definition")
        return index

    def _record(self, node: list[object]) -> tuple[dict[str, Check], frozenset[str], bool]:
        fields, required, is_open = node[1:]
        if not is_text_map(fields) or not is_list(required) or type(is_open) is not bool:
            refuse("a record that is not a map of fields, the required names, and whether it is open")
        self._count(len(fields))
        names = frozenset(name for name in required if type(name) is str and name in fields)
        if len(names) != len(required):
            refuse("a required name that is no field")
        return {name: self.node(inner) for name, inner in fields.items()}, names, is_open

    def _label(self, node: object, levels: int) -> str:
        """What a node expects, in words; nodes that are wrong are refused elsewhere."""
        if not is_list(node) or not node or levels == 0:
            return checks.EXPECTED.get(node, "") if type(node) is str else "…"
        kind = str(node[0])
        if kind == "ref" and len(node) == 2:
            return self._label(self._definitions[self._index(node)], levels - 1)
        if kind == "dataclass" and len(node) == 3:
            return f"a {shown_name(node[1])}"
        if kind in {"union", "literal"} and is_list(parts := node[-1]):
            some = parts[:_LABELS]
            return checks.listed(some) if kind == "literal" else self._labels(some, levels - 1)
        if kind == "tuple" and is_list(parts := node[-1]):
            return f"a tuple of {len(parts)}"
        return checks.EXPECTED.get(kind, "")

    def _labels(self, nodes: list[object], levels: int) -> str:
        return checks.one_of([self._label(node, levels) for node in nodes])


_KINDS: Final[Mapping[str, Callable[[_Compiling, list[object]], Check]]] = {
    "elements": _Compiling.of_elements,
    "tuple": _Compiling.of_tuple,
    "dict": _Compiling.of_dict,
    "literal": _Compiling.of_literal,
    "union": _Compiling.of_union,
    "map": _Compiling.of_map,
    "dataclass": _Compiling.of_dataclass,
    "ref": _Compiling.of_reference,
}


def _expect(node: Sequence[object], length: int) -> None:
    if len(node) != length:
        refuse(f"a {str(node[0])[:20]} of {len(node)} parts")


def _nodes(node: list[object]) -> list[object]:
    """The list that is a node's only part."""
    _expect(node, 2)
    inner = node[1]
    return inner if is_list(inner) else refuse(f"a {str(node[0])[:20]} whose part is no list")
