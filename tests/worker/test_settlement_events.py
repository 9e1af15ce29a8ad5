"""What is logged of a settlement."""

from __future__ import annotations

import pytest

from tidemill.errors import RemoteError
from tidemill_consumers.outcomes import Cancelled, Dead, Outcome, Parked, Released, Retried, Succeeded
from tidemill_consumers.settlement import event_of

pytestmark = pytest.mark.once

ERROR = RemoteError("ValueError", "no")


@pytest.mark.parametrize(
    "outcome",
    [Succeeded(b""), Retried(ERROR, 10), Dead(ERROR), Parked("unknown", 10, "unknown_task"), Cancelled(), Released()],
    ids=lambda outcome: type(outcome).__name__,
)
def test_an_outcome_is_logged_with_the_fields_of_its_event(outcome: Outcome) -> None:
    what, details = event_of(outcome)
    assert {"job_id", "task", "queue", "attempt", *details} <= what.fields
