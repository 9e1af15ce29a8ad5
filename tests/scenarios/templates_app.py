"""The jobs of `republish.py` and `coldstart.py`. Each notes what its template said."""

from __future__ import annotations

import asyncio
import time

from chaos.application import make_effect, mill, recorded, recorder
from tidemill import current_job

__all__ = ["mill"]


@mill.task()
async def report(edition: int, page: str, sku: str = "") -> None:
    """Which edition of the template it runs with. `page`: what all jobs of a template share."""
    with recorded():
        recorder().write("ran", job=current_job().id, edition=edition)
        make_effect()


@mill.task()
async def render(seconds: float, page: str, sku: str = "") -> None:
    """One line of history only: there are many of it."""
    recorder().write("rendered", started=time.time())
    await asyncio.sleep(seconds)
