"""What is left to the outbox, with real processes killed on the way: it is neither lost nor done twice, in its order,
whatever became of its run; and a dead letter waits for a person."""

from __future__ import annotations

from typing import Any

import pytest

from tape.core.journal.views import open_reader
from tests.crash import checker
from tests.crash.stage import Stage
from tests.crash.test_points import effect_of


def until_ended(stage: Stage, run: str, count: int) -> list[Any]:
    stage.until_event("effect_ended", run, count=count)
    return stage.watch.of("effect_ended", run)


@pytest.mark.parametrize("tool", ["mail_put", "mail_seen", "mail_wire", "mail_blind", "mail_book"])
def test_the_agent_dies_between_enqueue_and_dispatch(stage: Stage, tool: str) -> None:
    """Nothing of the enqueueing is in doubt: it is dispatched once, and the run goes on without it."""
    stage.arm("effect.begun", tool=tool)
    run = stage.run(["ask"], ["enqueue", tool, 7], ["ask"])
    assert stage.until_rest(run) == "TERMINAL"
    (ended,) = until_ended(stage, run, 1)
    assert (ended.status, ended.resolution, ended.writer, ended.attempt) == ("CONFIRMED", "returned", "outbox", 1)
    assert stage.reached("effect.begun") == 1
    assert stage.standing(run) == len(stage.acts(run)) == 1


@pytest.mark.parametrize("point", ["dispatch.started", "dispatch.acted"])
def test_the_process_that_dispatches_dies(stage: Stage, point: str) -> None:
    """Two of one run keep their order all the same, and the run waits for neither."""
    whole = stage.run(["enqueue", "mail_put", 1], ["ask"], ["enqueue", "mail_seen", 2])
    assert stage.until_rest(whole) == "TERMINAL"
    until_ended(stage, whole, 2)
    stage.arm(point, tool="mail_put")
    run = stage.run(["enqueue", "mail_put", 1], ["ask"], ["enqueue", "mail_seen", 2])
    assert stage.until_rest(run) == "TERMINAL"
    assert [ended.tool for ended in until_ended(stage, run, 2)] == ["mail_put", "mail_seen"]
    assert effect_of(stage, run, "mail_put")["attempts"] == 2
    assert stage.reached(point) == 1
    assert [act["collection"] for act in sorted(stage.acts(run), key=lambda act: act["at"])] == [
        "mail_put",
        "mail_seen",
    ]
    assert stage.tape(run) == stage.tape(whole)


def test_the_server_starts_anew_with_something_left(stage: Stage) -> None:
    """The run is at its end, the dispatch is not: the next server takes it up."""
    run = stage.run(["ask"], ["enqueue", "mail_slowly", 1])
    assert stage.until_rest(run) == "TERMINAL"
    stage.until_event("attempt_started", run, what="body")
    assert not stage.watch.of("effect_ended", run)
    stage.close()
    (stage.logs / "mercy").touch()
    stage.restart()
    (ended,) = until_ended(stage, run, 1)
    assert (ended.status, ended.attempt) == ("CONFIRMED", 2)
    assert stage.standing(run) == 1


def test_a_dead_letter_waits_for_a_person(stage: Stage) -> None:
    """Nobody can know whether it was sent: its run is at its end, later ones went out, and `needs` lists it."""
    stage.arm("dispatch.acted", tool="mail_blind")
    run = stage.run(["enqueue", "mail_blind", 1], ["enqueue", "mail_put", 2])
    assert stage.until_rest(run) == "TERMINAL"
    (ended,) = until_ended(stage, run, 1)
    assert ended.tool == "mail_put"
    letter = effect_of(stage, run, "mail_blind")["key"]
    with open_reader(stage.journal) as reader:
        (need,) = reader.needs()
    assert (need.key, need.kind, need.row) == (letter, "effect", "N-ask")
    assert stage.order("resolve", run, key=letter, how="confirm", result={"by": "hand"}) == {"status": "TERMINAL"}
    with open_reader(stage.journal) as reader:
        assert reader.needs() == []
    assert stage.standing(run, "mail_blind") == 1


def test_a_run_that_fails_undoes_what_was_dispatched_and_drops_the_rest(stage: Stage) -> None:
    """One is under way when its run fails: that is settled first. The one behind it never starts."""
    steps = [["enqueue", "mail_slowly", 1], ["ask"], ["enqueue", "mail_book", 2], ["until", "dispatched"], ["fail"]]
    run = stage.run(*steps)
    first, second = f"{run}/-/0/mail_slowly", f"{run}/0/0/mail_book"
    stage.until_event("attempt_started", run, key=first)
    (stage.logs / "dispatched").touch()
    stage.until_status(run, "COMPENSATING")
    stage.until_event("effect_ended", run, key=second, resolution="dropped")
    (stage.logs / "mercy").touch()
    assert stage.until_rest(run) == "FAILED"
    assert [ended.key for ended in stage.watch.of("effect_ended", run)] == [second, first]
    acts = stage.acts(run)
    assert [(act["key"], act["undone"]) for act in acts] == [(first, True)]


def test_undone_by_order_while_the_run_goes_on(stage: Stage) -> None:
    run = stage.run(["call", "book_put", 1], ["sleep", 1.0], ["ask"])
    key = f"{run}/-/0/book_put"
    stage.until_status(run, "WAITING")
    stage.order("resolve", run, key=key, how="undo")
    stage.until_event("obligation_moved", run, status="DONE")
    assert stage.until_rest(run) == "TERMINAL"
    assert effect_of(stage, run, "book_put")["status"] == "CONFIRMED"
    assert (len(stage.acts(run)), stage.standing(run)) == (1, 0)


def test_the_checker_sees_what_is_forgotten_and_what_is_out_of_order(stage: Stage) -> None:
    """Each of the two rules about what is left can fail."""
    run = stage.run(["enqueue", "mail_put", 1], ["enqueue", "mail_seen", 2])
    assert stage.until_rest(run) == "TERMINAL"
    until_ended(stage, run, 2)
    stage.close()
    seen = checker.read(stage.evidence())
    (story,) = seen.stories
    assert not [*checker.i12_in_order(story, seen, checker.Promise())]
    starts = [entry for entry in story.entries if entry["kind"] == "attempt_started"]
    starts[0]["body"], starts[1]["body"] = starts[1]["body"], starts[0]["body"]
    assert [*checker.i12_in_order(story, seen, checker.Promise())]
    story.effects[f"{run}/-/1/mail_seen"] |= {"status": "PENDING", "step": "again"}
    assert any("left to itself" in what for what in checker.i12_nothing_forgotten(story, seen, checker.Promise()))
