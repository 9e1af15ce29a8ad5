"""Signed bodies: HMAC-SHA256 over a job's arguments, and over what must not change about the job.

Whoever may write to Redis may otherwise make workers run any registered task with any arguments. With keys, a worker
runs only what a holder of a key has enqueued, as it was enqueued. A signed body is

    C1 | version 01 | flags | length of key id | key id | expiry, 8 bytes ms, if flag 02 | MAC, 16 bytes | payload

C1 is the one byte that never occurs as the first of MessagePack, so a plain body can't be mistaken for a signed one.
The MAC covers the header, then each of these behind its length: prefix, queue, task, options (as retry, timeout), and
the job's id; last the payload. So neither a part of it nor the whole can be moved to another job. That of a recurring
job is bound to the recurring name instead of the id (flag 01): its schedulers have no keys, and name the occurrences.

What changes in a job's life (state, attempts, due time, fence, priority) is not covered: see docs/security.md.

Source for the construction, and for cutting HMAC-SHA256 to its leftmost 128 bits: RFC 2104, section 5; RFC 4868.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import struct
import time
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from tidemill.errors import InvalidInput
from tidemill.wire.envelope import MAX_PAYLOAD_BYTES

ENVIRONMENT: Final = "TIDEMILL_SIGNING_KEYS"
ACCEPT_UNSIGNED_ENVIRONMENT: Final = "TIDEMILL_ACCEPT_UNSIGNED"

# As many bytes as SHA-256 puts out: a shorter key would be the weakest part (RFC 2104, section 3).
MIN_KEY_BYTES: Final = 32
# The one that signs, and the one before it.
MAX_KEYS: Final = 2
# 128 bits: a forger has to guess, and each guess costs a dead letter.
MAC_BYTES: Final = 16
# An expiry is compared with this machine's clock, and was made with the producer's: what two clocks may differ by, and
# how long an enqueue may be under way. A forger gains these minutes.
EXPIRY_TOLERANCE_MS: Final = 300_000

_MARK: Final = 0xC1
_VERSION: Final = 1
_RECURRING: Final = 0x01
_EXPIRES: Final = 0x02
_CONTEXT: Final = b"tidemill signed body\0"
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,16}")
_OCCURRENCE: Final = re.compile(r"every:([^:]+):[0-9]{1,15}")
_START: Final = struct.Struct(">BBBB")
_TIME: Final = struct.Struct(">Q")
_LENGTH: Final = struct.Struct(">I")
# What a header and a MAC add to a payload at most.
MAX_OVERHEAD_BYTES: Final = _START.size + 16 + _TIME.size + MAC_BYTES

Why = Literal["unsigned", "malformed", "key", "mac", "expired"]


class Signable(NamedTuple):
    """What a signature binds of a job beside its payload. `options`: as they travel in the record."""

    queue: str
    task: str
    job_id: str
    options: bytes


class Refusal(NamedTuple):
    """Why a body is not run: `why` for metrics, `text` for the dead letter. Neither repeats what was refused."""

    why: Why
    text: str


class _Envelope(NamedTuple):
    """The parts of a signed body; nothing of it is to be believed before its MAC is checked."""

    key_id: str
    is_recurring: bool
    expiry_ms: int | None
    header: bytes
    mac: bytes
    payload: bytes


def _opened(body: bytes) -> _Envelope | None:
    """None: it has not the form of a signed body."""
    if len(body) < _START.size:
        return None
    _, version, flags, key_length = _START.unpack_from(body)
    expiry_at = _START.size + key_length
    mac_at = expiry_at + (_TIME.size if flags & _EXPIRES else 0)
    payload_at = mac_at + MAC_BYTES
    if version != _VERSION or flags & ~(_RECURRING | _EXPIRES) or len(body) < payload_at:
        return None
    return _Envelope(
        key_id=body[_START.size : expiry_at].decode("ascii", errors="replace"),
        is_recurring=bool(flags & _RECURRING),
        expiry_ms=_TIME.unpack_from(body, expiry_at)[0] if flags & _EXPIRES else None,
        header=body[:mac_at],
        mac=body[mac_at:payload_at],
        payload=body[payload_at:],
    )


def is_signed(body: bytes) -> bool:
    """Whether a body claims to be signed. One that has no room for a header is damaged."""
    return body[:1] == bytes([_MARK]) and len(body) >= _START.size


def payload_of(body: bytes) -> bytes:
    """What a body carries, signed or not: to be shown, never to be run, since nothing is verified."""
    envelope = _opened(body) if is_signed(body) else None
    return body if envelope is None else envelope.payload


class Signing:
    """The keys of one application below one prefix.

    keys: key id → key, the signing one first; at most two.
    accept_unsigned: run plain bodies too, while the last producers are switched on.
    """

    __slots__ = ("_accept_unsigned", "_clock", "_keys", "_max_body_bytes", "_prefix")

    def __init__(
        self,
        keys: Mapping[str, bytes],
        prefix: str,
        *,
        accept_unsigned: bool = False,
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = _checked(keys)
        self._prefix = prefix.encode()
        self._accept_unsigned = accept_unsigned
        self._max_body_bytes = max_payload_bytes + MAX_OVERHEAD_BYTES
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Signing with {', '.join(self._keys)}>"

    def sign(self, job: Signable, payload: bytes, expires_ms: int | None = None) -> bytes:
        """The body of a job. `expires_ms`: not to be started after this many milliseconds from now."""
        if expires_ms is None:
            return self._signed(job, 0, b"", payload)
        return self._signed(job, _EXPIRES, _TIME.pack(int(self._clock() * 1000) + expires_ms), payload)

    def sign_recurring(self, name: str, job: Signable, payload: bytes) -> bytes:
        """The body of all occurrences of a recurring job; `job.job_id` does not count."""
        return self._signed(job._replace(job_id=name), _RECURRING, b"", payload)

    def _signed(self, job: Signable, flags: int, expiry: bytes, payload: bytes) -> bytes:
        key_id, key = next(iter(self._keys.items()))
        header = _START.pack(_MARK, _VERSION, flags, len(key_id)) + key_id.encode() + expiry
        return header + self._mac(key, header, job, payload) + payload

    def verify(self, job: Signable, body: bytes) -> bytes | Refusal:
        """The payload of a body that a holder of a key has signed for exactly this job."""
        if body[:1] != bytes([_MARK]):
            return body if self._accept_unsigned else Refusal("unsigned", "it is not signed")
        envelope = _opened(body) if len(body) <= self._max_body_bytes else None
        if envelope is None:
            return Refusal("malformed", "its signed envelope is cut off, too large, or of another version")
        if (key := self._keys.get(envelope.key_id)) is None:
            shown = envelope.key_id if _KEY_ID.fullmatch(envelope.key_id) else "of no valid id"
            return Refusal("key", f"it is signed with key {shown}, which is not, or no longer, one of this worker's")
        if envelope.is_recurring:
            occurrence = _OCCURRENCE.fullmatch(job.job_id)
            job = job._replace(job_id=occurrence[1] if occurrence else "")
        if not hmac.compare_digest(envelope.mac, self._mac(key, envelope.header, job, envelope.payload)):
            return Refusal("mac", "its signature does not match: arguments, task, queue, id or options were changed")
        if envelope.expiry_ms is not None and envelope.expiry_ms + EXPIRY_TOLERANCE_MS < self._clock() * 1000:
            return Refusal("expired", "it was signed to be started before a time that is over: enqueue it again")
        return envelope.payload

    def _mac(self, key: bytes, header: bytes, job: Signable, payload: bytes) -> bytes:
        bound = (header, self._prefix, job.queue.encode(), job.task.encode(), job.options, job.job_id.encode())
        framed = b"".join(_LENGTH.pack(len(part)) + part for part in bound)
        return hmac.digest(key, _CONTEXT + framed + payload, "sha256")[:MAC_BYTES]


def signing_of(
    given: str | Mapping[str, bytes] | None,
    accept_unsigned: bool | None,
    prefix: str,
    max_payload_bytes: int = MAX_PAYLOAD_BYTES,
) -> Signing | None:
    """What `Tidemill` was given, or the environment's; None: no keys. Raises InvalidInput, without the key."""
    source = "signing_keys"
    if given is None:
        given, source = os.environ.get(ENVIRONMENT), ENVIRONMENT
    if accept_unsigned is None:
        accept_unsigned = _is_on(os.environ.get(ACCEPT_UNSIGNED_ENVIRONMENT, ""))
    if given is None:
        return None
    keys = parse_keys(given, source) if isinstance(given, str) else given
    return Signing(keys, prefix, accept_unsigned=accept_unsigned, max_payload_bytes=max_payload_bytes)


def parse_keys(text: str, source: str = ENVIRONMENT) -> dict[str, bytes]:
    """Reads "2026b:<base64>,2026a:<base64>". Raises InvalidInput, which never repeats a part of the text."""
    form = f"{source} must read ID:BASE64 or ID:BASE64,ID:BASE64, the signing key first"
    keys: dict[str, bytes] = {}
    for number, pair in enumerate(text.split(","), 1):
        key_id, colon, encoded = pair.strip().partition(":")
        if not colon:
            raise InvalidInput(f"{form}; part {number} has no colon")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput(f"{form}; the key of part {number} is not base64") from None
        if key_id in keys:
            raise InvalidInput(f"{form}; parts have the same id")
        keys[key_id] = key
    return keys


def _checked(keys: Mapping[str, bytes]) -> dict[str, bytes]:
    if not 1 <= len(keys) <= MAX_KEYS:
        raise InvalidInput(f"there must be 1 to {MAX_KEYS} signing keys, not {len(keys)}")
    for number, (key_id, key) in enumerate(keys.items(), 1):
        if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may be untyped
            raise InvalidInput(f"the id of signing key {number} is not valid: 1 to 16 of A-Z, a-z, 0-9, '_', '.', '-'")
        if not isinstance(key, bytes):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may be untyped
            raise InvalidInput(f"signing key {number} is not bytes")
        if len(key) < MIN_KEY_BYTES:
            raise InvalidInput(
                f"signing key {number} has {len(key)} bytes, which is too short: at least {MIN_KEY_BYTES}, "
                "as `openssl rand -base64 32` makes them"
            )
    return dict(keys)


def _is_on(text: str) -> bool:
    if text.lower() in ("", "0", "false", "no"):
        return False
    if text.lower() in ("1", "true", "yes"):
        return True
    raise InvalidInput(f"{ACCEPT_UNSIGNED_ENVIRONMENT} must be 1 or 0, not {text[:20]!r}")
