"""A server that has loaded the shipped ACL file: who talks to it needs a role."""

from __future__ import annotations

import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from servers import Server
from tidemill.wire.permissions import ROLES, user_name

SHIPPED = Path(__file__).parents[2] / "compose" / "users.acl"


class GuardedServer(Server):
    """`client` is an administrator, whom the shipped file does not have; `become` chooses whose URL `url` is."""

    def __init__(self) -> None:
        super().__init__(None, "--aclfile", "users.acl")
        self._address = self.url
        self.passwords = {role: secrets.token_hex(16) for role in ROLES}
        self._load()

    def start(self) -> None:
        (self.directory / "users.acl").touch()
        super().start()

    def _load(self) -> None:
        """The shipped file, with passwords as its documentation says, and an administrator for the test itself."""
        text = SHIPPED.read_text(encoding="utf-8")
        for role, password in self.passwords.items():
            digest = sha256(password.encode()).hexdigest()
            before, after = f"user {user_name('tm', role)} on resetpass ", f"user {user_name('tm', role)} on #{digest} "
            assert text.count(before) == 1
            text = text.replace(before, after)
        admin = secrets.token_hex(16)
        text += f"user admin on >{admin} ~* &* +@all\n"
        (self.directory / "users.acl").write_text(text, encoding="utf-8")
        assert self.client.execute_command("ACL", "LOAD") in (b"OK", True)
        self.client.close()
        self.client = self._connection("admin", admin)

    def _connection(self, user: str | None, password: str | None) -> Any:
        return cast(
            Any,
            redis.Redis(
                unix_socket_path=str(self.directory / "s"),
                username=user,
                password=password,
                protocol=2,
                retry=Retry(NoBackoff(), 0),
            ),
        )

    def client_of(self, role: str) -> Any:
        """A plain connection with the role's rights."""
        return self._connection(user_name("tm", role), self.passwords[role])

    def stranger(self) -> Any:
        """A plain connection of one who has not logged in."""
        return self._connection(None, None)

    def url_of(self, role: str) -> str:
        scheme, _, rest = self._address.partition("://")
        return f"{scheme}://{user_name('tm', role)}:{self.passwords[role]}@{rest}"

    def become(self, role: str) -> None:
        self.url = self.url_of(role)

    def denials(self) -> list[str]:
        """What was refused since the last call; also what a script swallowed."""
        entries = cast("list[list[object]]", self.client.execute_command("ACL", "LOG"))
        self.client.execute_command("ACL", "LOG", "RESET")
        found: list[str] = []
        for entry in entries:
            fields = {_text(name): _text(value) for name, value in zip(entry[::2], entry[1::2], strict=True)}
            found.append(f"{fields['username']}: {fields['reason']} {fields['object']} ({fields['context']})")
        return found


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
