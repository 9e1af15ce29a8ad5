"""What the server holds."""

from __future__ import annotations

from servers import Server


def job_count(server: Server) -> int:
    return len([key for key in server.all_keys() if ":job:" in key])
