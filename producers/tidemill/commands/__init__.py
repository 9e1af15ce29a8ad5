"""The command line. Each package brings its own commands, through the entry points `tidemill.commands`."""

from __future__ import annotations


def main() -> None:
    """The `tidemill` command."""
    from tidemill.commands.root import tidemill

    tidemill()
