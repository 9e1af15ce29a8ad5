"""What is measured of a Python file: its functions, classes, docstrings and cyclomatic complexity.

Complexity is McCabe's ("A Complexity Measure", IEEE Transactions on Software Engineering SE-2, 1976): one for each
function, and one for each decision in it. A decision is `if`, `elif`, a conditional expression, `for`, `while`,
`except`, `assert`, each `and` and `or`, each `for` and `if` of a comprehension, and each `case` that can fail to match,
with one more for its guard. A nested function counts for itself; a lambda counts to the function around it. What stands
outside all functions is not counted.
"""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import Final

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_DOCUMENTED: Final = (ast.Module, ast.ClassDef, *_FUNCTIONS)
_ONE_DECISION: Final = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.Assert)


@dataclass(frozen=True, slots=True)
class Measures:
    """`complexity` is the sum over the functions; `hardest` names the most complex one, as `Class.method`."""

    functions: int
    classes: int
    docstrings: int
    complexity: int
    hardest: str
    hardest_complexity: int


def parse(source: bytes, name: str) -> ast.Module:
    """`ast.parse`, without its warnings about escapes and the like. Raises SyntaxError or ValueError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source, name)


def line_count(source: bytes) -> int:
    """Lines, the last of which need not end with a newline."""
    return source.count(b"\n") + (not source.endswith(b"\n") and source != b"")


def measure(tree: ast.Module) -> Measures:
    """Goes through the tree once, with a list instead of recursion: some test files nest deeper than Python's stack."""
    complexities: list[int] = []
    names: list[str] = []
    classes = docstrings = 0
    outside = -1
    waiting: list[tuple[ast.AST, int, str]] = [(tree, outside, "")]
    while waiting:
        node, owner, path = waiting.pop()
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstrings += 1
        if isinstance(node, ast.ClassDef):
            classes += 1
            path = f"{path}{node.name}."
        elif isinstance(node, _FUNCTIONS):
            owner = len(complexities)
            complexities.append(1)
            names.append(path + node.name)
            path = f"{path}{node.name}."
        elif owner != outside:
            complexities[owner] += decisions(node)
        waiting += [(child, owner, path) for child in ast.iter_child_nodes(node)]
    hardest = max(range(len(names)), key=lambda index: (complexities[index], names[index]), default=None)
    return Measures(
        functions=len(names),
        classes=classes,
        docstrings=docstrings,
        complexity=sum(complexities),
        hardest="" if hardest is None else names[hardest],
        hardest_complexity=0 if hardest is None else complexities[hardest],
    )


def decisions(node: ast.AST) -> int:
    """How many decisions this node makes, its children apart."""
    if isinstance(node, _ONE_DECISION):
        return 1
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if isinstance(node, ast.match_case):
        always_matches = isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None
        return (not always_matches) + (node.guard is not None)
    return 0
