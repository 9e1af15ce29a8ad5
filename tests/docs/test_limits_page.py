"""docs/limits.md: its programs print what it says, and its table is complete."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from tidemill import Limit

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")


def test_the_programs_print_what_the_page_says(tmp_path: Path, url: str) -> None:
    for name, program in re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(program)
    command, told = re.findall(r"```console\n\$ (.*?)\n(.*?)```", PAGE, re.DOTALL)[0]
    environment = {**os.environ, "TIDEMILL_URL": url}
    worker = subprocess.Popen(
        [sys.executable, "-m", "tidemill", "worker", "payments:mill", "--with-scheduler"], cwd=tmp_path, env=environment
    )
    try:
        done = subprocess.run(
            [sys.executable, *command.split()[1:]],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout, done.stderr) == (told, "")
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0


def test_every_option_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]+) \|", PAGE, re.MULTILINE))))
    assert {"rate", "rate_key", "concurrency", "concurrency_key", "cost", "limits"} <= explained
    assert {field.name for field in fields(Limit)} <= set(re.findall(r"(\w+)=?[,)]", PAGE)) | explained
