"""Every script, in any order, does what a model of a few lines says, and never leaves a state that must not be.

TIDEMILL_EXAMPLES=1000 looks for longer.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from properties.machine import ScriptMachine
from script_state import World

EXAMPLES = int(os.environ.get("TIDEMILL_EXAMPLES", "40"))
# A failing history is made as short as possible, which takes minutes; whoever only asks whether there is one says no.
PHASES = (Phase.generate, Phase.shrink) if os.environ.get("TIDEMILL_SHRINK", "1") == "1" else (Phase.generate,)


def test_scripts_in_any_order_do_what_the_model_says(world: World) -> None:
    class Machine(ScriptMachine):
        pass

    Machine.world = world
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=50,
            deadline=None,
            database=None,
            print_blob=True,
            phases=PHASES,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
