"""The application of the scenario *dead dependency*: one task calls it, through a breaker; another does not."""

from __future__ import annotations

from typing import Final

from chaos.application import RETRY_SECONDS, Failing, directory, make_effect, recorded
from scenarios.dependency import call
from tidemill import Retry, Tidemill

BREAKER: Final = "dependency"
FAIL_MAX: Final = 5
RESET_SECONDS: Final = 2.0
PROBES: Final = 3
RELEASE_RATE: Final = 200.0
# Of a job that is a probe each time: so many probes fail in the scenario at most.
_ATTEMPTS: Final = 50

mill = Tidemill(deadline=3)
mill.breaker(BREAKER, fail_max=FAIL_MAX, reset_timeout=RESET_SECONDS, half_open_max=PROBES, release_rate=RELEASE_RATE)


@mill.task(
    queue="guarded",
    breaker=BREAKER,
    retry=Retry(max_attempts=_ATTEMPTS, backoff="constant", base=RETRY_SECONDS, jitter=0),
)
def guarded() -> None:
    with recorded():
        if not call(directory() / "dependency"):
            raise Failing("the dependency is down")
        make_effect()


@mill.task(queue="other")
def other() -> None:
    with recorded():
        make_effect()
