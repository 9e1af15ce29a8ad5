"""What is published, labelled or retired reaches workers by a message: what they hold and what they choose follows."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from commands_seen import commands_seen
from conditions import eventually
from fleet import running_scheduler, running_worker
from servers import Server
from templates_worker.published import content_of, held, jobs_of, opened, publish, store, version_of, versions_of
from templates_worker.shapes import Marked
from tidemill import JobFailed, Tidemill, call
from tidemill.errors import ServerUnavailable
from tidemill.ids import new_id
from tidemill.templates.choosing import pick
from tidemill.templates.content import digest_of
from tidemill.templates.schema import describe
from tidemill.wire.command import Command
from tidemill.wire.dead_letters import Hand
from tidemill_consumers import settings
from tidemill_consumers.templates.version import Key
from tidemill_consumers.templates.versions import Request, Versions
from tidemill_consumers.worker import Worker

NAME = "stock"


@pytest.fixture
def marks(mill: Tidemill) -> Tidemill:
    """An application with a task that returns one argument."""

    @mill.task(name="mark")
    def mark(mark: str) -> str:
        return mark

    return mill


def label(mill: Tidemill, name: str, number: int | None, weight: int) -> None:
    with opened(mill) as link:
        assert (
            link.run(mill.client.scripts.label_template(NAME, name, number, weight, Hand("test", operation=new_id())))
            == "done"
        )


def newest_known(worker: Worker) -> int:
    pointers = versions_of(worker).pointers.get(NAME)
    return pointers.newest.number if pointers is not None and pointers.newest is not None else 0


def test_a_version_that_was_superseded_goes_and_the_new_one_comes(marks: Tidemill) -> None:
    first = version_of(marks, NAME, "mark", mark="first")
    with running_worker(marks) as worker:
        assert jobs_of(marks, NAME, "mark", first).enqueue().result(timeout=20) == "first"
        assert held(worker, NAME, 1, 2) == [1]
        version_of(marks, NAME, "mark", mark="second")
        eventually(lambda: held(worker, NAME, 1, 2) == [2], "the worker has heard of it")
        # A job that is pinned to the former one runs with it all the same.
        assert jobs_of(marks, NAME, "mark", first).enqueue().result(timeout=20) == "first"


def test_a_version_with_a_label_stays(marks: Tidemill) -> None:
    first = version_of(marks, NAME, "mark", mark="first")
    label(marks, "stable", 1, 0)
    with running_worker(marks) as worker:
        assert jobs_of(marks, NAME, "mark", first).enqueue().result(timeout=20) == "first"
        labelled = versions_of(worker).cache.peek(Key(NAME, 1))
        version_of(marks, NAME, "mark", mark="second")
        eventually(lambda: held(worker, NAME, 1, 2) == [1, 2], "the worker has heard of it")
        assert versions_of(worker).cache.peek(Key(NAME, 1)) is labelled
        label(marks, "stable", None, 0)
        eventually(lambda: held(worker, NAME, 1, 2) == [2], "and of the label")


def test_a_version_of_a_template_that_the_worker_has_not_met_is_no_matter_of_its(
    marks: Tidemill, server: Server
) -> None:
    with running_worker(marks) as worker:
        first = version_of(marks, NAME, "mark", mark="first")
        assert jobs_of(marks, NAME, "mark", first).enqueue().result(timeout=20) == "first"
        with commands_seen(server) as seen:
            version_of(marks, "other", "mark", mark="other")
            version_of(marks, NAME, "mark", mark="second")
            eventually(lambda: held(worker, NAME, 2) == [2], "the worker has heard of it")
    assert not [line for line in seen if '"HMGET"' in line and "template:other" in line]


def test_a_thousand_versions_in_a_row_are_looked_at_together(marks: Tidemill, server: Server) -> None:
    first = version_of(marks, NAME, "mark", mark="first")
    late = jobs_of(marks, NAME, "mark", first, late=True)
    with running_worker(marks) as worker:
        assert late.enqueue().result(timeout=20) == "first"
        with commands_seen(server) as seen:
            # One message for each, as many publishes send them.
            for _ in range(10):
                commands = server.client.pipeline(transaction=False)
                for revision in range(100):
                    channel = marks.client.scripts.keys.templates
                    commands.execute_command("SPUBLISH", channel, f"{NAME} {revision}")
                commands.execute()
            version_of(marks, NAME, "mark", mark="last")
            eventually(lambda: newest_known(worker) == 2, "the worker has heard of the last")
        assert late.enqueue().result(timeout=20) == "last"
    looks = [line for line in seen if '"HMGET"' in line and f"template:{NAME}" in line]
    assert len(looks) < 300, len(looks)


def test_labels_share_out_the_jobs_that_are_chosen_when_they_start(marks: Tidemill) -> None:
    first = version_of(marks, NAME, "mark", mark="stable")
    version_of(marks, NAME, "mark", mark="canary")
    label(marks, "stable", 1, 1)
    label(marks, "canary", 2, 1)
    with running_worker(marks):
        late = jobs_of(marks, NAME, "mark", first, late=True)
        jobs = [late.enqueue() for _ in range(60)]
        marked = [job.result(timeout=20) for job in jobs]
        assert 5 < marked.count("stable") < 55
        label(marks, "canary", 2, 0)
        eventually(lambda: {late.enqueue().result(timeout=20) for _ in range(20)} == {"stable"}, "the share has ended")


def test_of_jobs_that_are_taken_together_each_has_its_own_share(marks: Tidemill) -> None:
    """Their options are the same, byte for byte."""
    first = version_of(marks, NAME, "mark", mark="stable")
    version_of(marks, NAME, "mark", mark="canary")
    label(marks, "stable", 1, 1)
    label(marks, "canary", 2, 1)
    late = jobs_of(marks, NAME, "mark", first, late=True)
    with running_worker(marks) as worker:
        while held(worker, NAME, 1, 2) != [1, 2]:
            late.enqueue().result(timeout=20)
        pointers = versions_of(worker).pointers.get(NAME)
        assert pointers is not None
        jobs = late.enqueue_many([call() for _ in range(60)])
        for job in jobs:
            version = pick(pointers, job.id)
            assert version is not None
            assert job.result(timeout=20) == ("stable" if version.number == 1 else "canary")


def test_news_that_could_not_be_followed_are_followed_later(marks: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    first = version_of(marks, NAME, "mark", mark="first")
    late = jobs_of(marks, NAME, "mark", first, late=True)
    with running_worker(marks) as worker:
        assert late.enqueue().result(timeout=20) == "first"
        ask, tries = Versions.ask, list[object]()

        def failing(versions: Versions, names: Iterable[str]) -> None:
            tries.append(names)
            if len(tries) == 1:
                raise ServerUnavailable("it is away")
            ask(versions, names)

        monkeypatch.setattr(Versions, "ask", failing)
        version_of(marks, NAME, "mark", mark="second")
        eventually(lambda: newest_known(worker) == 2, "the worker has asked again")
        assert late.enqueue().result(timeout=20) == "second"


def test_a_current_version_that_no_job_can_have_gives_way_to_the_next(marks: Tidemill) -> None:
    damaged = b"\x81\xa4task\xa4mark"
    first = store(marks, NAME, "mark", digest_of(damaged), damaged)
    late = jobs_of(marks, NAME, "mark", first, late=True)
    with running_worker(marks) as worker:
        with pytest.raises(JobFailed, match="can't be read"):
            late.enqueue().result(timeout=20)
        version_of(marks, NAME, "mark", mark="second")
        eventually(lambda: newest_known(worker) == 2, "the worker has heard of it, though it holds none")
        assert late.enqueue().result(timeout=20) == "second"


def test_when_the_current_version_is_gone_it_is_asked_which_is_current(
    marks: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_news(versions: Versions, names: Iterable[str]) -> list[Request]:
        return []

    monkeypatch.setattr(settings, "PARK_BASE_MS", 20)
    first = version_of(marks, NAME, "mark", mark="first")
    late = jobs_of(marks, NAME, "mark", first, late=True)
    with running_scheduler(marks), running_worker(marks) as worker:
        assert late.enqueue().result(timeout=20) == "first"
        monkeypatch.setattr(Versions, "refresh", no_news)
        version_of(marks, NAME, "mark", mark="second")
        with opened(marks) as link:
            link.run(Command(("DEL", marks.client.scripts.keys.content(NAME, 1)), int))
        versions_of(worker).cache.discard(Key(NAME, 1))
        assert late.enqueue().result(timeout=20) == "second"


def test_news_that_were_missed_are_read_when_the_connection_is_back(own_server: Server) -> None:
    with Tidemill(own_server.url) as mill:

        @mill.task(name="mark")
        def mark(mark: str) -> str:
            return mark

        first = version_of(mill, NAME, "mark", mark="first")
        with running_worker(mill) as worker:
            late = jobs_of(mill, NAME, "mark", first, late=True)
            assert late.enqueue().result(timeout=20) == "first"
            own_server.kill()
            own_server.start()
            version_of(mill, NAME, "mark", mark="second")  # perhaps before the worker listens again
            eventually(lambda: newest_known(worker) == 2, "it has read it", 60)
            assert late.enqueue().result(timeout=60) == "second"


def test_arguments_for_another_version_that_do_not_fit_the_current_one_are_a_dead_letter(marks: Tidemill) -> None:
    first = version_of(marks, NAME, "mark")
    publish(marks, NAME, content_of(marks, "mark", {}, schema=describe(Marked)))
    with running_worker(marks):
        late = jobs_of(marks, NAME, "mark", first, late=True)
        assert late.enqueue(mark="fits").result(timeout=20) == "fits"
        with pytest.raises(JobFailed, match=r"InvalidArguments.*mark"):
            late.enqueue(mark=3).result(timeout=20)
