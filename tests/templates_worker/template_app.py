"""An application with a task of a child process; its templates are declared, with upcasters."""

from __future__ import annotations

from typing import Any

from tidemill import Retry, Tidemill, current_job

mill = Tidemill()


@mill.task(executor="process", retry=Retry(max_attempts=2, base=0.01))
def in_child(**arguments: Any) -> dict[str, Any]:
    arguments["items"].append(len(arguments["items"]))
    return {**arguments, "attempt": current_job().attempt, "has_deadline": current_job().deadline is not None}


@mill.task(executor="process", retry=Retry(max_attempts=9, base=0.01))
def fails_in_child(mark: str) -> None:
    raise ValueError(f"{mark} {current_job().attempt}")


@mill.task()
def in_thread(**arguments: Any) -> dict[str, Any]:
    return arguments


def raises(_: dict[str, Any]) -> dict[str, Any]:
    raise LookupError("no such field")


child = mill.template("child", task=in_child, defaults={"region": "eu", "items": []}, timeout=50)
failing = mill.template("failing", task=fails_in_child, defaults={"mark": "a"}, retry=Retry(max_attempts=2, base=0.01))
unsuited = mill.template("unsuited", task=in_child, defaults={"items": []})
unsuited.upcaster(1)(raises)
renamed = mill.template("renamed", task=in_thread, defaults={"amount": 1})


@renamed.upcaster(1)
def _named(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"amount": arguments.pop("count"), **arguments}


@renamed.upcaster(2)
def _in_cents(arguments: dict[str, Any]) -> dict[str, Any]:
    return {**arguments, "amount": arguments["amount"] * 100}
