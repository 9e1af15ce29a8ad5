"""Memory and loop lag: what stops a limit from growing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill_consumers.concurrency import memory
from tidemill_consumers.concurrency.growth import Growth

MEGABYTE = 1 << 20
V2 = ("memory.max", "memory.stat", "anon")
V1 = ("memory/memory.limit_in_bytes", "memory/memory.stat", "total_rss")


def container(root: Path, version: tuple[str, str, str], limit: object, used: int) -> Path:
    """A cgroup's files."""
    limit_file, use_file, name = version
    (root / limit_file).parent.mkdir(exist_ok=True)
    (root / limit_file).write_text(f"{limit}\n")
    (root / use_file).write_text(f"cache 5\n{name} {used}\nfile 7\n")
    return root


@pytest.mark.parametrize("version", [V2, V1])
def test_in_a_container_memory_is_the_containers(tmp_path: Path, version: tuple[str, str, str]) -> None:
    assert memory.share(container(tmp_path, version, 512 * MEGABYTE, 128 * MEGABYTE)) == 0.25


@pytest.mark.parametrize("limit", ["max", 9223372036854771712, "nonsense"])
def test_without_a_limit_it_is_the_machines(tmp_path: Path, limit: object) -> None:
    found = memory.share(container(tmp_path, V2, limit, 128 * MEGABYTE))
    assert found is not None
    assert 0 < found < 1
    assert found == pytest.approx(memory.share(tmp_path / "nothing"), rel=0.5)


def test_where_the_system_does_not_say_growth_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_STATM", tmp_path / "none")
    assert memory.share(tmp_path) is None
    assert Growth(lambda: None).is_allowed()


def test_above_four_fifths_of_the_memory_nothing_grows_until_it_is_free_again() -> None:
    now, share = 10.0, 0.81
    growth = Growth(lambda: share, lambda: now)
    assert not growth.is_allowed()
    share = 0.8
    assert not growth.is_allowed(), "memory is looked at once a second"
    now = 11.0
    assert growth.is_allowed()


def test_while_the_loop_starts_jobs_late_nothing_grows() -> None:
    growth = Growth(lambda: 0.0)
    growth.lagged(0.4)
    assert growth.is_allowed(), "one late start is no lag"
    for _ in range(20):
        growth.lagged(0.4)
    assert not growth.is_allowed()
    for _ in range(60):
        growth.lagged(0.0)
    assert growth.is_allowed()
