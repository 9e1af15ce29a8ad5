"""What is a Sentinel URL, and what is said of one that is not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tidemill import InvalidInput, Tidemill
from tidemill.sentinel_url import SentinelUrl

pytestmark = pytest.mark.once


def test_hosts_name_and_database_are_read() -> None:
    read = SentinelUrl.read("redis+sentinel://user:pa%40ss@one:26379,two:26380,three/tide.main/3?client_name=app")
    assert read.sentinels == ("redis://one:26379/?", "redis://two:26380/?", "redis://three:26379/?")
    assert read.primary == "tide.main"
    assert read.server("10.0.0.9", 6379) == "redis://user:pa%40ss@10.0.0.9:6379/3?client_name=app"


def test_the_sentinels_have_a_login_of_their_own() -> None:
    read = SentinelUrl.read("redis+sentinel://:data@one/tide?sentinel_username=w%26&sentinel_password=p%40%2F")
    assert read.sentinels == ("redis://w%26:p%40%2F@one:26379/?",)
    assert read.server("h", 1) == "redis://:data@h:1/0?"


def test_tls_is_spoken_with_sentinels_and_servers_alike() -> None:
    read = SentinelUrl.read("rediss+sentinel://one:1/tide?ssl_ca_certs=/ca.pem&client_name=app")
    assert read.sentinels == ("rediss://one:1/?ssl_ca_certs=%2Fca.pem",)
    assert read.server("h", 2) == "rediss://h:2/0?ssl_ca_certs=%2Fca.pem&client_name=app"


def test_ipv6_addresses_stand_in_brackets() -> None:
    read = SentinelUrl.read("redis+sentinel://[::1]:5,[fe80::2]/tide")
    assert read.sentinels == ("redis://[::1]:5/?", "redis://[fe80::2]:26379/?")
    assert read.server("::1", 6379) == "redis://[::1]:6379/0?"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinel://one:26379", "the name of the primary is missing"),
        ("redis+sentinel://one:26379/", "the name of the primary is missing"),
        ("redis+sentinel://one:26379/a name", "'a name' names no primary"),
        ("redis+sentinel://one:26379/tide/main", "'main' is no database number"),
        ("redis+sentinel:///tide", "a host is missing"),
        ("redis+sentinel://one,,two/tide", "a host is missing"),
        ("redis+sentinel://one:port/tide", "'one:port' is no host:port"),
        ("redis+sentinel://u:secret@one:1:2/tide", "'one:1:2' is no host:port"),
    ],
)
def test_a_wrong_url_is_refused_with_the_form(url: str, said: str) -> None:
    with pytest.raises(InvalidInput) as found:
        Tidemill(url)
    assert said in str(found.value)
    assert "redis+sentinel://[user:password@]host:port[,host:port...]/<primary name>[/<db>]" in str(found.value)
    assert "secret" not in str(found.value)


def test_the_command_line_says_the_form_too() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "tidemill", "stats"],
        env={**os.environ, "TIDEMILL_URL": "redis+sentinel://u:secret@one:26379"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 2
    assert "the name of the primary is missing; a Sentinel URL has the form redis+sentinel://" in shown.stderr
    assert "secret" not in shown.stderr


def test_passwords_are_not_shown() -> None:
    mill = Tidemill("redis+sentinel://u:secret@one,two/tide?sentinel_password=secret")
    assert repr(mill) == "<Tidemill redis+sentinel://u:***@one,two/tide?sentinel_password=***, 0 tasks>"
