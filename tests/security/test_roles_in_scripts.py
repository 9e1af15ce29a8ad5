"""Each role may call its scripts, in every branch that the tables of tests/script_cases reach, and no other's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from script_cases import ALL
from script_state import World
from security.guarded import GuardedServer
from tidemill.wire.permissions import ROLES
from tidemill.wire.script import names

# Who calls which script in the product. A new script needs its line here, and its commands in wire/permissions.py.
CALLERS = {
    "abandon": "worker",
    "admit": "scheduler",
    "adopt": "worker",
    "apply_effect": "",  # it writes keys of the application, which the application grants: docs/security.md
    "begin_effect": "worker",
    "browse": "operator",
    "bury": "worker",
    "cancel": "producer worker operator",
    "check_consumers": "operator",
    "check_line": "operator",
    "check_locks": "operator",
    "check_places": "operator",
    "check_queues": "operator",
    "check_records": "operator",
    "check_tickets": "operator",
    "check_workers": "operator",
    "complete": "worker",
    "confine": "worker",
    "declare_limits": "worker",
    "configure": "operator",
    "declare": "producer worker operator",
    "discard": "operator",
    "enqueue": "producer worker operator",
    "end_effect": "worker",
    "end_lease": "worker",
    "expire": "scheduler",
    "hold": "worker",
    "hottest": "worker operator dashboard",
    "label_template": "operator",
    "look_breakers": "producer worker operator dashboard",
    "measure": "scheduler dashboard operator",
    "park": "worker",
    "probe_breaker": "producer worker operator",
    "progress": "worker",
    "promote": "scheduler",
    "publish_template": "producer worker operator",
    "readmit": "worker",
    "recover": "worker scheduler",
    "register": "worker",
    "reinstate": "operator",
    "release": "worker",
    "renew": "worker",
    "report_uses": "worker",
    "requeue": "operator",
    "restore_template": "operator",
    "retire": "worker scheduler",
    "retire_template": "operator",
    "retry": "worker",
    "shed": "scheduler",
    "set_breaker": "operator",
    "settle_probe": "producer worker operator",
    "survey": "scheduler",
    "sweep": "scheduler",
    "take": "worker",
    "tick": "scheduler",
    "trip_breaker": "producer worker operator",
    "undeclare": "producer worker scheduler operator",
    "watch": "producer worker operator",
}


@pytest.fixture
def role_world(guarded: GuardedServer, request: pytest.FixtureRequest) -> Iterator[World]:
    """A world whose scripts are called by the role that the test names."""
    guarded.become(str(request.param))
    found = World(guarded)
    yield found
    found.close()


def test_each_script_has_its_callers() -> None:
    assert set(CALLERS) == set(names())
    assert {role for callers in CALLERS.values() for role in callers.split()} == set(ROLES)


@pytest.mark.parametrize("role_world", ROLES, indirect=True)
def test_a_role_may_call_its_scripts_in_every_branch(role_world: World, guarded: GuardedServer) -> None:
    role = next(role for role in ROLES if guarded.url == guarded.url_of(role))
    cases = [case for case in ALL if role in CALLERS[case.script].split()]
    for case in cases:
        role_world.replace(case.before)
        reply = role_world.run(case.call(role_world))
        denied = guarded.denials()
        assert (denied, role_world.dump(), reply) == ([], case.after, case.reply), f"{role}: {case}"
    assert cases
