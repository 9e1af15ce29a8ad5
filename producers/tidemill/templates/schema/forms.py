"""The form of a schema: what travels of a type, in MessagePack's plain types only.

A form is the list [1, root, definitions]. The 1 is its version: a change of meaning takes the next number. The root is
["record", fields, required, is_open]: a map of names to nodes, the sorted names that have no default, and whether other
names are accepted too. A definition is a node to which others refer by its index, so that a type is described once and
may contain itself.

| node | what it accepts |
| ---- | --------------- |
| "any" | everything |
| "none", "bool", "int", "str", "bytes" | the type; a bool is no int; a bytearray arrives as bytes, and is one |
| "float" | float and int |
| "datetime", "date", "time", "timedelta", "decimal", "uuid" | the type; a datetime is a date too |
| ["list", node], ["set", node], ["frozenset", node] | the type, of such elements |
| ["sequence", node] | list or tuple; a text is none, though Python says so |
| ["collection", node] | set or frozenset |
| ["tuple", [node, ...]] | a tuple of just these |
| ["tuples", node] | a tuple of any length |
| ["dict", node, node] | dict, of such keys and values |
| ["literal", [value, ...]] | one of these None, bool, int, str and bytes; True is not 1 |
| ["union", [node, ...]] | what one of these accepts |
| ["map", fields, required, is_open] | a dict with these names: TypedDict, pydantic model |
| ["dataclass", name, fields] | an instance of the class of this name on the wire, or of one derived from it |
| ["ref", index] | what the definition accepts |

Subclasses count as the type that they travel as (see tidemill.wire.extensions): a member of a StrEnum is a str. So a
form gives the same answer before a value is sent and after it has arrived.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 1

# Types within one another, between two names (dataclass, TypedDict, model, alias): their nodes nest as deep, and a
# template's content is read like every other body, in at most 64 levels.
MAX_TYPE_LEVELS: Final = 20

# Nodes, fields and literal values of one form. Far more than schemas have; each becomes a closure in every worker.
MAX_NODES: Final = 4096

# Names within one another in a value whose type contains itself. Twice the levels that the codec carries: an alias that
# refers to a record takes two.
MAX_REF_LEVELS: Final = 128

# References followed and alternatives of unions tried, in one check: some tenths of a second. The largest body has
# 10,000 parts, so honest forms come nowhere near; those that branch without end do.
MAX_STEPS: Final = 1_000_000

SCALARS: Final = (
    "none",
    "bool",
    "int",
    "float",
    "str",
    "bytes",
    "datetime",
    "date",
    "time",
    "timedelta",
    "decimal",
    "uuid",
)

# Nodes of one node: their elements' or values'.
CONTAINERS: Final = ("list", "set", "frozenset", "sequence", "collection", "tuples")
