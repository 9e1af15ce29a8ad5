"""The jobs of `republish.py` and `coldstart.py`. Each notes what its template said."""

from __future__ import annotations

import asyncio
import time

from chaos.application import make_effect, mill, recorded, recorder, witnesses
from chaos.witness import KEYS
from tidemill import current_job
from tidemill.templates import reference

__all__ = ["mill"]


@mill.task()
async def report(edition: int, page: str, asked_for: int = 0) -> None:
    """`edition` and `page` are the template's, `asked_for` is the job's: a version that it is to run with, or 0."""
    with recorded():
        job_id = current_job().id
        options = await asyncio.to_thread(witnesses().hget, KEYS.job(job_id), "o")
        chosen, _ = reference.read(options)
        recorder().write("ran", job=job_id, edition=edition, chosen=chosen.number, asked_for=asked_for)
        make_effect()


@mill.task()
async def render(seconds: float, page: str, sku: str = "") -> None:
    """One line of history only: there are many of it."""
    recorder().write("rendered", job=current_job().id, started=time.time())
    await asyncio.sleep(seconds)
