"""`tidemill acl`: the server's users, one for each role, as a file."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import Final

import click

from tidemill import validation
from tidemill.errors import InvalidInput
from tidemill.wire.permissions import ROLES, acl_file

# The server keeps SHA-256 of a password without a salt, which is fast to guess: the password has to be long.
MIN_PASSWORD_CHARS: Final = 20


@click.command()
@click.option("--prefix", default="tm", show_default=True, help="What all keys begin with.")
def acl(prefix: str) -> None:
    """Print an ACL file for Redis or Valkey: one user for each role, and no default user.

    The password of a role is read from TIDEMILL_ACL_PRODUCER_PASSWORD, …_WORKER_…, …_SCHEDULER_…, …_DASHBOARD_… and
    …_OPERATOR_PASSWORD; only its SHA-256 is printed. A role without one can't log in until an administrator gives it
    one with ACL SETUSER.
    """
    digests = {role: digest for role in ROLES if (digest := _digest(role))}
    click.echo(acl_file(validation.queue_name(prefix), digests), nl=False)


def variable(role: str) -> str:
    """The environment variable of a role's password."""
    return f"TIDEMILL_ACL_{role.upper()}_PASSWORD"


def _digest(role: str) -> str:
    password = os.environ.get(variable(role), "")
    if not password:
        return ""
    if len(password) < MIN_PASSWORD_CHARS:
        raise InvalidInput(f"{variable(role)} is too short: at least {MIN_PASSWORD_CHARS} characters")
    return sha256(password.encode()).hexdigest()
