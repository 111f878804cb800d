"""Poison is contained (I13): what always dies at the same place is counted, goes alone, is STUCK; others go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.crash.stage import Stage

Opener = Callable[..., Stage]
POISON = {
    "agent": [["ask"], ["die"], ["call", "put", 1]],
    "first step": [["die"], ["ask"]],
    "body": [["ask"], ["call", "poison", 1], ["ask"]],
}


@pytest.mark.parametrize("where", POISON)
@pytest.mark.parametrize("max_crashes", [1, 5])
def test_poison(open_stage: Opener, where: str, max_crashes: int) -> None:
    """Backs off, goes alone after the second death, is STUCK after the last; redrive helps once the cause is gone."""
    stage = open_stage(max_crashes=max_crashes)
    run = stage.run(*POISON[where])
    assert stage.until_rest(run) == "STUCK"
    granted = stage.watch.of("lease_granted", run)
    without_progress = [event for event in granted if event.next_seq == granted[-1].next_seq]
    assert len(without_progress) == max(max_crashes, 3)
    assert [event.alone for event in granted][-1] is True
    moved = stage.watch.of("run_moved", run, status="STUCK")[-1]
    assert f"tape redrive {run}" in moved.commands
    other = stage.run(["ask"], ["call", "wire", 1])
    assert stage.until_rest(other) == "TERMINAL"
    (stage.logs / "mercy").touch()
    if where == "body":
        stage.order("redrive", run)
    else:
        assert stage.order("redrive", run)["status"] == "RUNNABLE"
    assert stage.until_status(run, "TERMINAL") == "TERMINAL"


def test_poison_cancelled(stage: Stage) -> None:
    run = stage.run(["ask"], ["die"])
    assert stage.until_rest(run) == "STUCK"
    stage.order("cancel", run)
    assert stage.until_status(run, "CANCELLED") == "CANCELLED"


def test_others_go_on(open_stage: Opener) -> None:
    """Runs beside the poisoned one: they may die with it while it is not known, and all end well."""
    stage = open_stage(workers=2, concurrency=4)
    poisoned = stage.run(["ask"], ["die"])
    runs = [stage.run(*[["ask"], ["call", "wire", n]] * 4) for n in range(8)]
    for run in runs:
        assert stage.until_rest(run) == "TERMINAL"
        assert stage.standing(run) == 4
    assert stage.until_rest(poisoned) == "STUCK"


def test_others_are_driven_while_one_is_alone(open_stage: Opener) -> None:
    """A run that goes alone holds one worker; what is started meanwhile goes to another."""
    stage = open_stage(workers=2, concurrency=4, spare=0)
    alone = stage.run(["ask"], ["die"], ["call", "wire", 1])
    stage.until_event("lease_granted", alone, alone=True)
    stage.order("step", alone, to="at:before-act")
    (stage.logs / "mercy").touch()
    stage.until_event("point_reached", alone, point="at:before-act")
    others = [stage.run(["ask"], ["call", "put", n], ["ask"]) for n in range(3)]
    for other in others:
        assert stage.until_rest(other) == "TERMINAL"
    assert stage.status(alone) == "RUNNING"
    stage.order("step", alone, go=True)
    assert stage.until_rest(alone) == "TERMINAL"


def test_poisoned_dispatch(stage: Stage) -> None:
    """A dispatched body that always kills its hook worker: counted with the claim, alone, then for a person."""
    run = stage.run(["ask"], ["call", "mail_poison", 1], ["ask"])
    other = stage.run(["ask"], ["call", "mail_put", 1])
    assert stage.until_rest(run) == "STUCK"
    assert stage.until_rest(other) == "TERMINAL"
    started = stage.watch.of("attempt_started", run, what="body")
    assert len(started) == 5
    (stage.logs / "mercy").touch()
    stage.order("resolve", run, key=f"{run}/0/0/mail_poison", how="retry")
    assert stage.until_status(run, "TERMINAL") == "TERMINAL"


def test_progress_clears_the_count(stage: Stage) -> None:
    """Ten deaths with a new record after each of them are bad luck, not poison."""
    steps: list[list[Any]] = [["ask"], ["call", "put", 1]] * 10
    for _ in range(10):
        stage.arm("effect.ended")
    run = stage.run(*steps)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.reached("effect.ended") == 10
    assert {event.crashes for event in stage.watch.of("lease_granted", run)} == {0}
    assert stage.standing(run) == len(stage.acts(run)) == 10
