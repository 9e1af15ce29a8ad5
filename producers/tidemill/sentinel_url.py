"""Sentinel URLs: which sentinels to ask, for which primary, and as whom.

    redis+sentinel://[user:password@]host[:port][,host[:port]...]/<primary name>[/<db>][?options]

User and password are those of the data servers; the sentinels' own are the options `sentinel_username` and
`sentinel_password`. `rediss+sentinel://` speaks TLS with both. All other options are those of redis:// URLs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode

from tidemill.errors import InvalidInput
from tidemill.logs import mask_url

SENTINEL_SCHEMES: Final = ("redis+sentinel://", "rediss+sentinel://")
FORM: Final = "redis+sentinel://[user:password@]host:port[,host:port...]/<primary name>[/<db>]"

_DEFAULT_PORT: Final = "26379"
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:,/\[\]@]+)(:(?P<port>\d{1,5}))?")
# What Sentinel itself allows for the name of a primary.
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """A Sentinel URL, read.

    sentinels: a redis:// URL for each, in the order in which they are to be asked.
    primary: the name under which the sentinels know the primary.
    """

    text: str
    sentinels: tuple[str, ...]
    primary: str
    _scheme: str
    _login: str
    _db: str
    _options: str

    @classmethod
    def read(cls, url: str) -> Self:
        """Raises InvalidInput with the form that it must have."""
        prefix, _, rest = url.partition("+sentinel://")
        head, _, query = rest.partition("?")
        login, at, place = head.rpartition("@")
        hosts, _, path = place.partition("/")
        name, _, db = path.rstrip("/").partition("/")
        if not _NAME.fullmatch(unquote(name)):
            raise _wrong(url, "the name of the primary is missing" if not name else f"{name!r} names no primary")
        if db and not db.isdecimal():
            raise _wrong(url, f"{db!r} is no database number")
        options = parse_qsl(query, keep_blank_values=True)
        scheme = f"{prefix}://"
        asked_as = _login(dict(options))
        secured = urlencode([(key, value) for key, value in options if key.startswith("ssl_")])
        return cls(
            text=url,
            sentinels=tuple(f"{scheme}{asked_as}{_host(url, host)}/?{secured}" for host in hosts.split(",")),
            primary=unquote(name),
            _scheme=scheme,
            _login=login + at,
            _db=db or "0",
            _options=urlencode([(key, value) for key, value in options if not key.startswith("sentinel_")]),
        )

    def server(self, host: str, port: int) -> str:
        """The URL of the data server at this address."""
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return f"{self._scheme}{self._login}{place}/{self._db}?{self._options}"


def is_sentinel_url(url: str) -> bool:
    return url.startswith(SENTINEL_SCHEMES)


def _host(url: str, text: str) -> str:
    found = _HOST.fullmatch(text)
    if found is None:
        raise _wrong(url, f"{text!r} is no host:port" if text else "a host is missing")
    return f"{found['host']}:{found['port'] or _DEFAULT_PORT}"


def _login(options: dict[str, str]) -> str:
    user, password = (quote(options.get(f"sentinel_{name}", ""), safe="") for name in ("username", "password"))
    return f"{user}:{password}@" if user or password else ""


def _wrong(url: str, what: str) -> InvalidInput:
    return InvalidInput(f"server URL {mask_url(url)!r}: {what}; a Sentinel URL has the form {FORM}")
