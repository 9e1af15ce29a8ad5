"""Commands of `tidemill`, run in the test's own process."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from tidemill.commands.root import tidemill


class Group:
    """`tidemill <name> …`, for a server."""

    def __init__(self, name: str) -> None:
        self._name = name

    def run(self, url: str, *arguments: str, typed: str | None = None) -> Result:
        """What it exits with and prints. Asserts that no error has left it as a traceback."""
        result = CliRunner().invoke(tidemill, [self._name, *arguments, "--url", url], input=typed)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def answer(self, url: str, *arguments: str) -> Any:
        """Its JSON. Asserts that it has done what it was to do."""
        result = self.run(url, *arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)
