"""Cancelling a run that is driven, waiting or stuck; and what a cancelled run owes, undone under kills."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crash.stage import Stage

Opener = Callable[..., Stage]


def test_cancel_of_a_running_run(stage: Stage) -> None:
    """The open body ends and is recorded; nothing new begins; what it did is undone."""
    stage.upstreams.bank.set_faults([{"kind": "slow", "delay": "1s", "collection": "book", "nth": 2}])
    run = stage.run(["ask"], ["call", "book", 1], ["call", "book", 2], ["call", "book", 3])
    stage.until_event("effect_begun", run, count=2)
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"
    assert len(stage.acts(run)) == 2
    assert stage.standing(run) == 0
    assert not stage.watch.of("worker_died")


def test_cancel_of_a_waiting_run(stage: Stage) -> None:
    run = stage.run(["ask"], ["call", "book", 1], ["sleep", 600], ["call", "book", 2])
    assert stage.until_status(run, "WAITING") == "WAITING"
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"
    assert len(stage.acts(run)) == 1
    assert stage.standing(run) == 0


def test_cancel_while_the_outbox_works(stage: Stage) -> None:
    """The dispatch is settled first, then the run ends; no worker has to die for it."""
    stage.upstreams.bank.set_faults([{"kind": "slow", "delay": "1s", "collection": "mail_wire"}])
    run = stage.run(["ask"], ["call", "mail_wire", 1], ["call", "put", 1])
    stage.until_event("attempt_started", run, what="body")
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"
    assert stage.standing(run) == len(stage.acts(run)) == 1
    assert not stage.watch.of("worker_died")


def test_cancel_while_the_outbox_works_and_the_run_is_driven(stage: Stage) -> None:
    stage.upstreams.bank.set_faults([{"kind": "slow", "delay": "1s", "collection": "mail_wire"}])
    stage.upstreams.mint.set_faults([{"kind": "slow", "delay": "300ms", "collection": "put"}])
    run = stage.run(["ask"], ["batch", [["mail_wire", 1], ["put", 1]]], ["ask"])
    stage.until_event("effect_begun", run, count=2)
    stage.until_event("attempt_started", run, what="body")
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"
    assert stage.standing(run) == len(stage.acts(run)) == 2
    assert not stage.watch.of("worker_died")


@pytest.mark.parametrize("point", ["effect.acted", "effect.begun", "at:after-act"])
def test_cancel_of_a_killed_run(stage: Stage, point: str) -> None:
    """Killed in a body and cancelled while nobody knows: settled first, then undone, never driven on."""
    stage.arm(point, tool=None if point.startswith("at:") else "book")
    stage.arm("observe.answered")
    run = stage.run(["ask"], ["call", "book", 1], ["call", "put", 2], ["ask"])
    stage.until_reached(point)
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"
    assert stage.standing(run) == 0
    assert not stage.watch.of("effect_begun", run, tool="put")


@pytest.mark.parametrize("kills", [1, 3])
def test_undone_under_kills(stage: Stage, kills: int) -> None:
    """A cancelled run's obligations are undone newest first, each undo killed on the way."""
    run = stage.run(["ask"], ["call", "book", 1], ["call", "book_put", 2], ["call", "book", 3], ["sleep", 600])
    assert stage.until_status(run, "WAITING") == "WAITING"
    for nth in range(kills):
        stage.arm("compensate.acted", nth=nth + 1)
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"
    assert stage.reached("compensate.acted") == kills
    assert stage.standing(run) == 0
    done = [event.key.split("/")[2] for event in stage.watch.of("obligation_moved", run, status="DONE")]
    assert done == ["2", "1", "0"]


def test_cancel_of_a_stuck_run(stage: Stage) -> None:
    """The wish stands while only a person can know what happened; then the run undoes what it did, and asks no more."""
    stage.arm("effect.acted", tool="blind")
    run = stage.run(["ask"], ["call", "book", 1], ["call", "blind", 2])
    assert stage.until_rest(run) == "STUCK"
    stage.order("cancel", run, reason="not wanted any more")
    assert stage.until_rest(run) == "STUCK"
    stage.order("resolve", run, key=f"{run}/0/1/blind", how="confirm", result={"n": 2})
    assert stage.until_status(run, "CANCELLED") == "CANCELLED"
    assert stage.asked(run) == {0: 1} and len(stage.watch.of("lease_granted", run)) == 1


def test_cancel_twice_and_after_the_end(stage: Stage) -> None:
    run = stage.run(["ask"], ["sleep", 600])
    assert stage.until_status(run, "WAITING") == "WAITING"
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"
    with pytest.raises(Exception, match="ended already"):
        stage.order("cancel", run)


def test_restart_in_the_middle_of_undoing(open_stage: Opener) -> None:
    """The server goes away while a run compensates; the next one ends the work."""
    stage = open_stage()
    stage.upstreams.bank.set_faults([{"kind": "slow", "delay": "2s", "method": "DELETE", "nth": 2}])
    run = stage.run(["ask"], *[["call", "book", n] for n in range(4)], ["fail"])
    stage.until_event("obligation_moved", run, status="CLAIMED", count=2)
    stage.restart()
    assert stage.until_rest(run) == "FAILED"
    assert stage.standing(run) == 0
