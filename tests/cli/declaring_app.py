"""An application that declares templates."""

from __future__ import annotations

from tidemill import Tidemill

mill = Tidemill()


@mill.task()
def resize(*, size: int, sku: str) -> None: ...


mill.template("resize", task=resize, defaults={"size": 100}, queue="images")
mill.template("resize-large", task=resize, defaults={"size": 4_000})
