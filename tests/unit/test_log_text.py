"""What log lines are made of: fields with units, text without control characters, URLs without passwords."""

from __future__ import annotations

import pytest

from tidemill.logs import mask_url
from tidemill.telemetry.logfmt import FieldValue, cap, escape, logfmt


def test_units_move_from_keys_to_values() -> None:
    fields: dict[str, FieldValue] = {
        "delay_ms": 12.3456,
        "grace_s": 30,
        "up_s": 0.5,
        "ok": True,
        "none": None,
    }
    assert logfmt(fields) == " delay=12.3ms grace=30s up=500ms ok=true"
    assert logfmt({"reason_ms": True, "delay_ms": "soon"}) == " reason_ms=true delay_ms=soon"


def test_safe_text_is_left_alone() -> None:
    assert escape("naïve 漢字 🌊") == "naïve 漢字 🌊"
    assert escape("no text: \ud800") == r"no text: \ud800"
    assert cap("short") == "short"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:secret@localhost:6379/0", "redis://:***@localhost:6379/0"),
        ("rediss://user:secret@db.example:6380/1", "rediss://user:***@db.example:6380/1"),
        ("redis://user@localhost", "redis://user@localhost"),
        ("unix:///run/valkey.sock?db=0", "unix:///run/valkey.sock?db=0"),
        ("unix://user:secret@/run/valkey.sock?db=0", "unix://user:***@/run/valkey.sock?db=0"),
        ("redis://h/0?username=u&password=secret&db=1", "redis://h/0?username=u&password=***&db=1"),
        ("redis://h/0?ssl_password=secret", "redis://h/0?ssl_password=***"),
        ("redis://h/0?pass%77ord=secret", "redis://h/0?pass%77ord=***"),
        ("redis://h:6379/0?client_name=a@b", "redis://h:6379/0?client_name=a@b"),
        ("redis://h/0?via=redis://u:secret@other", "redis://h/0?via=***"),
        ("redis://h/0?via=redis%3A%2F%2Fu%3Asecret%40other", "redis://h/0?via=***"),
        ("redis://:se@cret@localhost", "redis://:***@localhost"),
        ("redis://:sec/ret@localhost/0", "redis://:***@localhost/0"),
        ("redis://:sec#ret@localhost/0", "redis://:***@localhost/0"),
        ("redis://:sec?ret@localhost/0", "redis://:***@localhost/0"),
        ("redis://:sec?re=t@localhost/0", "redis://:***@localhost/0"),
        ("redis://[::1]:6379/0?client_name=a@b", "redis://[::1]:6379/0?client_name=a@b"),
        ("redis+sentinel://u:secret@a:1,b:2,c/name/0", "redis+sentinel://u:***@a:1,b:2,c/name/0"),
        (
            "rediss+sentinel://a:1,[::1]:2/name?sentinel_password=se@cret",
            "rediss+sentinel://a:1,[::1]:2/name?sentinel_password=***",
        ),
        (
            "redis+sentinel://a,b/name?sentinel_username=u&client_name=a@b",
            "redis+sentinel://a,b/name?sentinel_username=u&client_name=a@b",
        ),
        ("redis+sentinel://u:sec,re?t=secret@a:1,b:2/name", "redis+sentinel://u:***@a:1,b:2/name"),
        ("redis+sentinel://:sec/re?t=secret@a:1,b:2/name", "redis+sentinel://:***@a:1,b:2/name"),
        ("user:secret@localhost", "user:***@localhost"),
        ("", ""),
        ("not a url", "not a url"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, masked: str) -> None:
    assert mask_url(url) == masked
    assert "sec" not in mask_url(url)
