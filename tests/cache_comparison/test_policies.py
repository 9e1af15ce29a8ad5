"""What the cache is compared with does what its name says, and recorded traces are read."""

from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path
from random import Random

import pytest

from cache_comparison.comparison import Row, compare, summary, table
from cache_comparison.policies import POLICIES, from_module
from cache_comparison.recordings import RECORDINGS

A_B_A_C_B_A = [0, 1, 0, 2, 1, 0]


@pytest.mark.parametrize(("policy", "hits"), [("LRU", 1), ("LFU", 2), ("OPT", 3)])
def test_small_traces_have_the_hits_that_one_counts_by_hand(policy: str, hits: int) -> None:
    """With room for two: LRU drops b for c and a for b; LFU keeps a; who knows the future lets c pass."""
    assert POLICIES[policy](A_B_A_C_B_A, 2) == hits


@pytest.mark.parametrize("policy", POLICIES)
def test_nobody_is_better_than_who_knows_the_future_and_all_hit_where_all_have_room(policy: str) -> None:
    random = Random(1)
    keys = [int(random.paretovariate(0.8)) % 500 for _ in range(5_000)]
    different = len(set(keys))
    assert POLICIES[policy](keys, 50) <= POLICIES["OPT"](keys, 50)
    assert POLICIES[policy](keys, 2 * different) == len(keys) - different


def test_policies_of_a_file_stand_beside_them(tmp_path: Path) -> None:
    (tmp_path / "more.py").write_text("POLICIES = {'none': lambda keys, unique, room: 0, 'OPT': None}\n")
    policies = {**POLICIES, **from_module(tmp_path / "more.py")}
    (row,) = compare("small", A_B_A_C_B_A, [2], policies)
    assert row.ratios["none"] == 0
    assert row.ratios["OPT"] == 3 / 6


def test_rows_are_judged() -> None:
    better = {"LRU": 0.3, "LFU": 0.5, "simple rule": 0.3, "W-TinyLFU": 0.5, "Tidemill": 0.495, "OPT": 0.9}
    rows = [Row("one", 10, better), Row("another", 20, {**better, "LRU": 1.0})]
    assert list(summary(rows)) == [
        "- More than a point below the better of LRU and LFU: 1 of 2 rows (another 20).",
        "- Below half of LRU: 1 of them.",
        "- Means over all rows: OPT 90.0, LRU 65.0, LFU 50.0, W-TinyLFU 50.0, Tidemill 49.5, simple rule 30.0.",
    ]
    assert list(table(rows))[2] == "| one | 10 | 30.0 | 50.0 | 30.0 | 50.0 | 50.0 LFU | 49.5 | 90.0 |"


def test_recorded_traces_are_read(tmp_path: Path) -> None:
    for directory, name, data in (
        ("lirs", "cs.trace.gz", gzip.compress(b"7\n9\n*\n7\n")),
        ("cache2k", "web07.trace.xz", lzma.compress(struct.pack(">3I", 7, 9, 7))),
        ("arc", "OLTP.lis", b"7 2 0 1\n7 1 0 2\n"),
    ):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / name).write_bytes(data)
    named = {recording.name: recording for recording in RECORDINGS}
    assert named["cs"].read(tmp_path) == named["web07"].read(tmp_path) == [0, 1, 0]
    zstandard = pytest.importorskip("zstandard", reason="reads one recorded trace, which only `make cache` needs")
    packed = zstandard.ZstdCompressor().compress((tmp_path / "arc" / "OLTP.lis").read_bytes())
    (tmp_path / "arc" / "OLTP.lis.zst").write_bytes(packed)
    assert named["oltp"].read(tmp_path) == [0, 1, 0]
