"""What tests of the envelope share."""

from __future__ import annotations

import pytest

from tidemill.wire.envelope import Codec
from wire.carried_values import Page, Point, Route, Slotted


@pytest.fixture
def codec() -> Codec:
    codec = Codec()
    for cls in (Point, Route, Page, Slotted):
        codec.carry(cls)
    return codec
