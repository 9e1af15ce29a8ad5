"""What tests of the client share."""

from __future__ import annotations

import pytest

from tidemill import (
    Task,
    Tidemill,
)


@pytest.fixture
def thumbnail(mill: Tidemill) -> Task[..., str]:
    @mill.task(queue="images")
    def thumbnail(path: str, size: int = 128) -> str:
        return f"{path}@{size}"

    return thumbnail
