"""What `compose/` says can be run: its file parses, its commands exist, and its image's steps make a working worker."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import requires
from pathlib import Path
from typing import TypedDict, cast

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conditions import eventually

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose"
TIDEMILL = Path(sys.executable).with_name("tidemill")
# What the shell's ${NAME:-default} is, in compose files.
VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")


class Service(TypedDict):
    """The keys of a compose service that are read here; not every service has each."""

    image: str
    build: dict[str, str]
    command: list[str]
    environment: dict[str, str]
    user: str
    volumes: list[str]
    read_only: bool
    stop_grace_period: str


def _services() -> dict[str, Service]:
    document = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    return cast("dict[str, Service]", document["services"])


def _instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, as (name, what follows it)."""
    text = (COMPOSE / "Dockerfile").read_text()
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, rest in lines]


def _arguments(service: Service) -> list[str]:
    """A service's command with the defaults of its variables."""
    return [VARIABLE.sub(r"\1", argument) for argument in service["command"]]


def _of_the_image(name: str) -> list[str]:
    """The Dockerfile's last instruction of this name, in the exec form."""
    found = [rest for instruction, rest in _instructions() if instruction == name][-1]
    return cast("list[str]", yaml.safe_load(found[found.index("[") :]))


def _commands() -> dict[str, list[str]]:
    """Every command line that compose file and Dockerfile start in our image, without the `tidemill` before it."""
    commands = {name: _arguments(service) for name, service in _services().items() if "build" in service}
    return {**commands, "CMD": _of_the_image("CMD"), "HEALTHCHECK": _of_the_image("HEALTHCHECK")[1:]}


@cache
def _help(command: str) -> str:
    shown = subprocess.run([TIDEMILL, command, "--help"], capture_output=True, text=True, check=True)
    return shown.stdout


def _environment(**more: str) -> dict[str, str]:
    """Ours without coverage's: the copy that is built here is not the source that is measured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "TIDEMILL_"))}
    return {**kept, **more}


def _option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def test_docker_compose_accepts_the_file() -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed (Debian: apt-get install docker-compose)")
    checked = subprocess.run(
        [program, "--file", COMPOSE / "compose.yaml", "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "WARN" not in checked.stderr.upper()


def test_every_service_runs_our_image_or_the_pinned_valkey() -> None:
    release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name, service in _services().items():
        ours = "build" in service
        pattern = rf"tidemill:{re.escape(release)}" if ours else r"valkey/valkey:\d+\.\d+\.\d+"
        assert re.fullmatch(pattern, service["image"]), f"{name}: {service['image']}"
        assert not ours or service["build"] == {"context": "..", "dockerfile": "compose/Dockerfile"}


def test_the_images_base_is_one_exact_release() -> None:
    bases = [rest.split()[0] for name, rest in _instructions() if name == "FROM"]
    assert len(bases) == 2
    assert len(set(bases)) == 1, "the environment is built for the interpreter that runs it"
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-[a-z]+", bases[0])


def test_no_container_runs_as_root_or_publishes_a_port() -> None:
    for name, service in _services().items():
        assert service["user"].split(":")[0] not in {"", "0", "root"}, name
        assert service["read_only"], name
        assert "ports" not in service, name
    user = [rest for name, rest in _instructions() if name == "USER"][-1]
    assert int(user.split(":")[0]) > 0
    ours = [service["user"] for service in _services().values() if "build" in service]
    assert ours == [user] * len(ours)


def test_valkey_keeps_its_data_and_evicts_nothing() -> None:
    valkey = _services()["valkey"]
    arguments = _arguments(valkey)
    assert _option(arguments, "--appendonly") == "yes"
    assert _option(arguments, "--maxmemory-policy") == "noeviction"
    assert re.fullmatch(r"\d+[mg]b", _option(arguments, "--maxmemory"))
    assert [volume.split(":")[1] for volume in valkey["volumes"]] == ["/data"]


@pytest.mark.parametrize("name", sorted(_commands()))
def test_every_command_and_every_option_of_it_exists(name: str) -> None:
    command, *arguments = _commands()[name]
    shown = _help(command)
    for option in (argument for argument in arguments if argument.startswith("--")):
        assert re.search(rf"^\s+(-\w, )?{option}\b", shown, re.MULTILINE), f"{command} has no {option}"


def test_a_worker_has_longer_to_stop_than_its_own_grace() -> None:
    worker = _services()["worker"]
    assert int(worker["stop_grace_period"].removesuffix("s")) >= float(_option(worker["command"], "--grace")) + 10


def test_the_image_is_stopped_by_the_signal_that_a_worker_handles() -> None:
    assert ("STOPSIGNAL", "SIGTERM") in _instructions()
    assert _of_the_image("ENTRYPOINT") == ["tidemill"]


@pytest.mark.parametrize(("lock", "extra"), [("requirements.lock", "dev"), ("compose/requirements.lock", "")])
def test_a_lock_file_pins_everything_that_is_needed_here(lock: str, extra: str) -> None:
    pinned = _pinned(ROOT / lock)
    needed = _needed("tidemill", extra)
    assert needed
    for name in sorted(needed):
        assert name in pinned, f"{lock} has no {name}: run make lock"


def test_the_image_has_the_versions_that_are_tested() -> None:
    tested = _pinned(ROOT / "requirements.lock")
    for name, pin in _pinned(COMPOSE / "requirements.lock").items():
        assert tested[name] == pin, f"{name}: run make lock"


def _pinned(lock: Path) -> dict[str, str]:
    """Each package's pin; every line must be one, without hashes, hosts or paths."""
    found: dict[str, str] = {}
    for line in lock.read_text().splitlines():
        if line.startswith("#"):
            continue
        requirement = Requirement(line)
        pin = str(requirement.specifier)
        assert re.fullmatch(r"==[\w.]+", pin), f"{lock.name} does not pin exactly: {line}"
        assert requirement.url is None, line
        found[canonicalize_name(requirement.name)] = pin
    return found


def _needed(package: str, extra: str) -> set[str]:
    """The packages that this one and its extra need on this machine, however indirectly, without itself."""
    seen: set[tuple[str, str]] = set()
    waiting = [(package, extra), (package, "")]
    while waiting:
        name, of_extra = waiting.pop()
        if (name, of_extra) in seen:
            continue
        seen.add((name, of_extra))
        for requirement in map(Requirement, requires(name) or []):
            marker = requirement.marker
            if marker is None or marker.evaluate({"extra": of_extra}):
                found = canonicalize_name(requirement.name)
                waiting += [(found, wanted) for wanted in ("", *requirement.extras)]
    return {name for name, _ in seen} - {package}


def _copied() -> list[str]:
    """What the Dockerfile copies out of the checkout."""
    sources = [shlex.split(rest)[:-1] for name, rest in _instructions() if name == "COPY" and "--from" not in rest]
    return [path for paths in sources for path in paths]


def test_what_the_dockerfile_copies_is_what_dockerignore_lets_through() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert set(_copied()) == {line[1:] for line in lines if line.startswith("!")}
    assert all((ROOT / path).exists() for path in _copied())


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as the image has it, built by the Dockerfile's steps from what it copies.

    Without Docker, dependencies are those of the interpreter that runs the tests: the same pinned versions.
    """
    context, site = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("image")
    for path in _copied():
        target = context / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / path, target)
    (build,) = [shlex.split(rest) for name, rest in _instructions() if name == "RUN" and "pip wheel" in rest]
    _pip(context, *build[build.index("wheel") :])
    _pip(context, "install", "--no-deps", "--no-index", "--target", str(site), *map(str, context.glob("wheels/*.whl")))
    return site


def _pip(place: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", *arguments]
    done = subprocess.run(command, cwd=place, env=_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _in_the_image(image: Path, url: str = "") -> dict[str, str]:
    """The environment that makes the image's copy be found before the checkout's."""
    return _environment(PYTHONPATH=str(image), PYTHONUNBUFFERED="1", TIDEMILL_URL=url)


def test_the_image_holds_all_that_the_packages_need_to_be_imported(image: Path, tmp_path: Path) -> None:
    script = "import tidemill, tidemill_consumers, tidemill_scheduler as s; print(tidemill.__file__, s.__file__)"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=_in_the_image(image),
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(Path(found).is_relative_to(image) for found in ran.stdout.split())
    in_source = {path.relative_to(ROOT / "producers") for path in (ROOT / "producers/tidemill").rglob("*.lua")}
    assert in_source
    assert in_source == {path.relative_to(image) for path in image.rglob("*.lua")}


@contextmanager
def _started(image: Path, name: str, url: str, place: Path) -> Generator[tuple[subprocess.Popen[bytes], Path]]:
    """A service of the compose file, run in an empty directory, and the file that gets its output."""
    output, clean = place / "output", place / "clean"
    clean.mkdir()
    command = [sys.executable, str(image / "bin" / "tidemill"), *_commands()[name]]
    environment = {**_services()[name]["environment"], **_in_the_image(image, url)}
    with output.open("wb") as log:
        process = subprocess.Popen(command, cwd=clean, env=environment, stdout=log, stderr=log)
    try:
        yield process, output
        assert not any(clean.iterdir()), "with a URL nothing is written to the working directory"
    finally:
        process.kill()
        process.wait()
        print(output.read_text())


@pytest.mark.parametrize(("name", "processes"), [("worker", 2), ("scheduler", 1)])
def test_a_service_starts_in_a_clean_directory_and_ends_well_at_sigterm(
    image: Path, url: str, tmp_path: Path, name: str, processes: int
) -> None:
    with _started(image, name, url, tmp_path) as (process, output):
        started = f"{name}.started"
        eventually(lambda: output.read_text().count(started) == processes, f"{processes} times {started}")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_the_health_check_succeeds_while_the_server_answers(image: Path, url: str, tmp_path: Path) -> None:
    command = [sys.executable, str(image / "bin" / "tidemill"), *_commands()["HEALTHCHECK"]]
    checked = subprocess.run(command, cwd=tmp_path, env=_in_the_image(image, url), capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["workers"] == []
