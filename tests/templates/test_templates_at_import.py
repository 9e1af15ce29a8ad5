"""Templates that a module declares while it is imported, and those of a script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from servers import Server
from templates.template_cases import STOCK
from tidemill import (
    Tidemill,
)

_MODULE = """
import sys
from tidemill import Tidemill
mill = Tidemill(sys.argv[1])

@mill.task(name="preheat")
def preheat(sku: str, depth: int = 1) -> None: ...

stock = mill.template("stock-preheat", task=preheat, defaults={"depth": 2})
"""


_IMPORTER = """
from declaring import mill, stock
def names(): return mill.client.link.run(mill.client.scripts.template_names())
print(names())
{0}
print(names())
"""


@pytest.mark.parametrize("first", ["stock.enqueue(sku='A1')", "mill.template('stock-preheat').enqueue(sku='A1')"])
def test_an_import_publishes_nothing_and_the_first_enqueue_does(first: str, tmp_path: Path, url: str) -> None:
    (tmp_path / "declaring.py").write_text(_MODULE)
    (tmp_path / "importer.py").write_text(_IMPORTER.replace("{0}", first))

    assert _python(tmp_path, "importer.py", url) == ["[]", "['stock-preheat']"]


def test_publish_publishes_what_an_import_declared_and_a_script_publishes_at_once(
    tmp_path: Path, server: Server, url: str
) -> None:
    (tmp_path / "declaring.py").write_text(_MODULE)
    (tmp_path / "importer.py").write_text(_IMPORTER.replace("{0}", "mill.publish()"))
    assert _python(tmp_path, "importer.py", url) == ["[]", "['stock-preheat']"]
    server.flush()

    _python(tmp_path, "declaring.py", url)
    with Tidemill(url) as mill:
        assert mill.client.link.run(mill.client.scripts.template_names()) == [STOCK]


def _python(directory: Path, *arguments: str) -> list[str]:
    run = subprocess.run([sys.executable, *arguments], cwd=directory, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()
