"""The demo's report: its figures, and that it notices what does not add up."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tidemill.demo import files, report
from tidemill.demo.app import Folder, Index, Module
from tidemill.demo.progress import Depth, Progress
from tidemill.demo.report import Percentiles, Report
from tidemill.demo.run import Collected
from tidemill.demo.source import Measures
from tidemill.demo.verification import Truth, verify
from tidemill.errors import InvalidInput


def _module(name: str, complexity: int = 1) -> Module:
    return Module(name, 10, 100, f"sha of {name}", Measures(2, 1, 1, complexity, "f", complexity))


def _collected() -> Collected:
    return Collected(
        names=["a.py", "b.py", "c.py"],
        states={"a.py": "succeeded", "b.py": "dead", "c.py": "succeeded"},
        index=Index([_module("a.py"), _module("c.py", 5)], {"b.py": "SyntaxError: invalid syntax"}),
        folder_files={".": 3},
        folders={".": Folder(3, 300, "folder's sha")},
        announced={".": "folder's sha"},
        start_latency_ms=[3.0, 1.0],
        lateness_ms=[0.0],
        seconds=2.0,
    )


def _truth() -> Truth:
    return Truth({"a.py": "sha of a.py", "c.py": "sha of c.py"}, {"b.py"})


def _report(collected: Collected, truth: Truth) -> Report:
    return report.make(Path("/lib"), collected, truth, workers=2, worker_restarts=0, whole_seconds=3.0)


def test_a_run_in_which_all_is_well_adds_up() -> None:
    made = _report(_collected(), _truth())
    assert made.adds_up
    assert (made.found, made.succeeded, made.dead_lettered, made.files_per_second) == (3, 2, 1, 1.5)
    assert [module.name for module in made.most_complex] == ["c.py", "a.py"]
    text = report.text(made)
    assert "3 found = 2 indexed + 1 dead-lettered" in text
    assert "b.py  SyntaxError: invalid syntax" in text
    assert "It adds up: 7 of 7 checks hold." in text


def _drop_a_state(run: Collected, _: Truth) -> None:
    del run.states["a.py"]


def _accept_all(_: Collected, truth: Truth) -> None:
    truth.refused.clear()


def _merge_twice(run: Collected, _: Truth) -> None:
    run.index.modules.append(_module("a.py"))


def _forget_refusals(run: Collected, _: Truth) -> None:
    run.index.refused.clear()


def _change_a_file(_: Collected, truth: Truth) -> None:
    truth.sha256["a.py"] = "another"


def _add_a_file(run: Collected, _: Truth) -> None:
    run.folder_files["."] = 4


def _announce_nothing(run: Collected, _: Truth) -> None:
    run.announced.clear()


def _begin_early(run: Collected, _: Truth) -> None:
    run.lateness_ms.append(-1)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (_drop_a_state, "files found = succeeded + dead-lettered"),
        (_accept_all, "the dead letters are exactly the files that ast.parse refuses"),
        (_merge_twice, "the merged index has each file once"),
        (_forget_refusals, "the merged index has each file once"),
        (_change_a_file, "each file's SHA-256 is that of the file"),
        (_add_a_file, "the folders have all the files"),
        (_announce_nothing, "the catalog knows each folder's SHA-256"),
        (_begin_early, "no delayed job began early"),
    ],
)
def test_what_does_not_add_up_is_named(change: Callable[[Collected, Truth], None], broken: str) -> None:
    collected, truth = _collected(), _truth()
    change(collected, truth)
    made = _report(collected, truth)
    assert not made.adds_up
    assert made.checks[broken] is False
    verdict = report.text(made).partition("It does NOT add up:\n")[2]
    assert f"  {broken}" in verdict.splitlines()


def test_percentiles_are_by_nearest_rank() -> None:
    assert Percentiles.of(range(1, 201)) == Percentiles(200, 100, 198)
    assert Percentiles.of([7]) == Percentiles(1, 7, 7)
    assert Percentiles.of([]) == Percentiles(0, 0, 0)


def test_files_are_found_without_caches_and_installed_packages(tmp_path: Path) -> None:
    for name in ("b.py", "a.txt", "test/bad.py", "site-packages/x.py", "test/__pycache__/y.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    assert files.find(tmp_path) == ["b.py", "test/bad.py"]
    assert files.by_folder(["b.py", "test/bad.py"]) == {".": ["b.py"], "test": ["test/bad.py"]}


def test_a_limit_takes_files_from_everywhere(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.py").write_text("")
    assert files.find(tmp_path, 3) == ["0.py", "3.py", "6.py"]
    assert len(files.find(tmp_path, 10)) == 10
    with pytest.raises(InvalidInput, match=r"has no \.py files"):
        files.find(tmp_path / "nowhere")


def test_verification_reads_the_files_itself_and_stops_when_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "b.py").write_text("def\n")
    truth = verify(tmp_path, ["a.py", "b.py", "missing.py"], lambda: None)
    assert (set(truth.sha256), truth.refused) == ({"a.py"}, {"b.py", "missing.py"})

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(tmp_path, ["a.py"], stop)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_drawn_again_and_removed_before_others() -> None:
    terminal = _Terminal()
    progress = Progress(terminal)
    progress.show(Depth(files=4, done=1, wheel=2, stream=1, running=1, dead=0))
    progress.show(Depth(files=4, done=4, wheel=0, stream=0, running=0, dead=1))
    progress.say("over")
    drawn = terminal.getvalue().split("\r")
    assert drawn[1].startswith("[######..................]  25%  1 of 4 files")
    assert drawn[2].startswith("[########################] 100%  4 of 4 files")
    assert drawn[3] == "\x1b[Kover\n"
    assert terminal.getvalue().count("\n") == 1


def test_elsewhere_plain_lines_come_now_and_then() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for done in range(4):
        progress.show(Depth(files=4, done=done, wheel=2, stream=1, running=1, dead=0))
    assert stream.getvalue() == (
        "[........................]   0%  0 of 4 files     0/s  wheel 2  stream 1  running 1  dead 0\n"
    )
