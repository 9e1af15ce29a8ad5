"""What the demo measures of a file."""

from __future__ import annotations

import ast

import pytest

from tidemill.demo.source import line_count, measure, parse


def _complexity(body: str) -> int:
    return measure(parse(f"def f(a, b, c):\n    {body}\n".encode(), "f.py")).complexity


@pytest.mark.parametrize(
    ("body", "complexity"),
    [
        ("pass", 1),
        ("return a if b else c", 2),
        ("if a: pass\n    elif b: pass\n    else: pass", 3),
        ("for x in a: pass\n    else: pass", 2),
        ("while a: pass", 2),
        ("try: pass\n    except KeyError: pass\n    except OSError: pass\n    finally: pass", 3),
        ("with a: pass", 1),
        ("assert a", 2),
        ("return a and b and c", 3),
        ("return a and b or c", 3),
        ("return [x for x in a if x if b]", 4),
        ("return {x: y for x in a for y in b}", 3),
        ("return lambda: a or b", 2),
        ("match a:\n        case 1: pass\n        case 2 | 3: pass\n        case _: pass", 3),
        ("match a:\n        case 1 if b: pass\n        case x if c: pass\n        case x: pass", 4),
    ],
)
def test_complexity_is_one_and_the_decisions(body: str, complexity: int) -> None:
    assert _complexity(body) == complexity


def test_each_function_counts_for_itself_and_the_hardest_is_named() -> None:
    found = measure(
        parse(
            b'"""Module."""\n'
            b"if x: pass\n"
            b"class A:\n"
            b'    """Class."""\n'
            b"    def easy(self):\n"
            b'        """Method."""\n'
            b"        async def inner():\n"
            b"            async for x in y:\n"
            b"                if x: pass\n"
            b"        if inner: pass\n"
            b"def plain(): 'docstring'\n",
            "a.py",
        )
    )
    assert (found.functions, found.classes, found.docstrings) == (3, 1, 4)
    assert found.complexity == 2 + 3 + 1
    assert (found.hardest, found.hardest_complexity) == ("A.easy.inner", 3)


def test_a_file_without_functions_has_no_complexity() -> None:
    found = measure(parse(b"x = 1 if y else 2\n", "a.py"))
    assert (found.functions, found.complexity, found.hardest, found.hardest_complexity) == (0, 0, "", 0)


def test_code_that_nests_deeper_than_pythons_stack_is_measured() -> None:
    tree: ast.expr = ast.Name("x")
    for _ in range(100_000):
        tree = ast.UnaryOp(ast.Not(), tree)
    assert measure(ast.Module([ast.Expr(tree)], [])).functions == 0
    while isinstance(tree, ast.UnaryOp):  # taken apart here, since its own destructor would recurse
        tree = tree.operand


@pytest.mark.parametrize(("source", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"\n\n", 2)])
def test_the_last_line_needs_no_newline(source: bytes, lines: int) -> None:
    assert line_count(source) == lines
