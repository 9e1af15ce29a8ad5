"""Looking through dead letters."""

from __future__ import annotations

from script_state import Call, Case, State, job
from tidemill.wire.scripts import Letter, LetterPage, Sieve


def _died(at: int, error: str = "ValueError: no such picture", **fields: object) -> dict[str, str]:
    return job("dead", a=3, v=1, f=at, e=error, **fields)


def _letter(job_id: str, at: int, kind: str = "ValueError", message: str = "no such picture") -> Letter:
    return Letter(job_id, str(at), str(at), "t", 3, 1, 0, kind, message)


_LETTERS: State = {
    "job:a": _died(5),
    "job:b": _died(7),
    "job:c": _died(7, "KeyError: x"),
    "job:d": _died(7, "ValueError: a small picture"),
    "job:e": _died(9, k=2),
    "dead:q": {"a": 5, "b": 7, "c": 7, "d": 7, "e": 9},
}

_ANY = Sieve(0, 100)
_A, _B = _letter("a", 5), _letter("b", 7)
_C, _D = _letter("c", 7, "KeyError", "x"), _letter("d", 7, "ValueError", "a small picture")
_E = _letter("e", 9)._replace(crashes=2)


def _browse(sieve: Sieve = _ANY, behind: tuple[str, str] = ("", ""), page: int = 10) -> Call:
    return lambda world: world.scripts.browse("q", sieve, behind, page)


def _browse_case(name: str, call: Call, place: tuple[str, str], *letters: Letter) -> Case:
    return Case("browse", name, _LETTERS, call, _LETTERS, LetterPage(place, list(letters)))


_DAMAGED: State = {
    "job:text": "text",
    "job:strange": job("flying", f=3),
    "job:bytes": job("dead", e="\xc1", f=2, a="many"),
    "job:ready": job("ready"),
    "dead:q": {"text": 4, "strange": 3, "bytes": 2, "ready": 1, "gone": 0},
}

BROWSE = [
    _browse_case("the newest first, and of one time by their ids", _browse(), ("", ""), _E, _D, _C, _B, _A),
    _browse_case("a page says where it ended", _browse(page=2), ("7", "d"), _E, _D),
    _browse_case(
        "the next goes on behind it, among those of one time", _browse(behind=("7", "d"), page=2), ("7", "b"), _C, _B
    ),
    _browse_case("also when the last of the page before is gone", _browse(behind=("7", "cc")), ("", ""), _C, _B, _A),
    _browse_case("and when all of that time are", _browse(behind=("8", "x")), ("", ""), _D, _C, _B, _A),
    _browse_case("a time from which on, and one before which", _browse(Sieve(7, 9)), ("", ""), _D, _C, _B),
    _browse_case("the type of the error", _browse(Sieve(0, 100, error="KeyError")), ("", ""), _C),
    _browse_case("a text in the message", _browse(Sieve(0, 100, text="small p")), ("", ""), _D),
    _browse_case("the task", _browse(Sieve(0, 100, task="other")), ("", "")),
    _browse_case("a page may hold none that fits", _browse(Sieve(0, 100, error="KeyError"), page=1), ("9", "e")),
    Case(
        "browse",
        "what is corrupt is shown, what is no dead letter is not",
        _DAMAGED,
        _browse(),
        _DAMAGED,
        LetterPage(
            ("", ""),
            [
                Letter("text", "4", "", "", 0, 0, 0, "CorruptRecord", "its key holds no hash"),
                Letter("strange", "3", "3", "t", 0, 0, 0, "CorruptRecord", "its state is flying"),
                Letter("bytes", "2", "2", "t", 0, 0, 0, "", ""),
            ],
        ),
    ),
    Case("browse", "there are none", {}, _browse(), {}, LetterPage(("", ""), [])),
]

CASES = [*BROWSE]
