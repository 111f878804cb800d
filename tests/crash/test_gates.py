"""A run that waits for a person: no process is bound by it, and no death loses or doubles an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.crash.stage import Stage

Opener = Callable[..., Stage]

STEPS = [["ask"], ["gate", "pay", ["wire", 7]], ["call", "wire", 7], ["ask"]]


def answer(stage: Stage, run: str, value: str = "approve", gate: str = "pay", **more: Any) -> Any:
    return stage.order("answer", run, gate=gate, value=value, **more)


def until_waiting(stage: Stage, run: str) -> None:
    """The run has parked at its gate, and no process is bound by it."""
    stage.watch.until(
        lambda: stage.watch.of("gate_opened", run) and stage.status(run) == "WAITING", f"{run} waits at its gate"
    )
    peers = stage.host.server.peers
    stage.watch.until(lambda: not any(run in peer.drives for peer in list(peers.values())), "its worker is free", 5)


def whole_tape(stage: Stage, steps: list[list[Any]] = STEPS) -> list[str]:
    run = stage.run(*steps)
    until_waiting(stage, run)
    assert answer(stage, run)["status"] == "answered"
    assert stage.until_rest(run) == "TERMINAL"
    return stage.tape(run)


@pytest.mark.parametrize("death", ["KILL", "TERM", "LOST"])
def test_each_death_at_an_opened_gate(stage: Stage, death: str) -> None:
    """The gate stands in the journal: whatever becomes of the process, it is opened once and answered once."""
    whole = whole_tape(stage)
    stage.arm("gate.opened", death)
    run = stage.run(*STEPS)
    stage.until_reached("gate.opened")
    until_waiting(stage, run)
    assert answer(stage, run, ordinal=0)["status"] == "answered"
    assert answer(stage, run, "deny", ordinal=0)["status"] == "refused"
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.reached("gate.opened") == 1
    assert stage.tape(run) == whole
    assert len(stage.watch.of("gate_opened", run)) == len(stage.watch.of("gate_answered", run)) == 1
    assert len(stage.watch.of("answer_refused", run)) == 1
    assert stage.standing(run) == 1


def test_a_freeze_at_an_opened_gate(open_stage: Opener) -> None:
    """The lease runs out; another worker comes to the same gate, and the run ends; the zombie reads Fenced."""
    stage = open_stage(ttl="1s")
    whole = whole_tape(stage)
    stage.arm("gate.opened", "STOP")
    run = stage.run(*STEPS)
    reached = stage.until_reached("gate.opened")
    assert answer(stage, run)["status"] == "answered"
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.watch.of("lease_granted", run)[-1].pid != reached.pid
    stage.order("thaw")
    assert stage.tape(run) == whole
    assert stage.standing(run) == 1


@pytest.mark.parametrize("point", ["effect.begun", "effect.acted", "effect.ended", "run.ending", "lease.granted"])
def test_an_approval_is_used_once_whatever_dies_after_it(stage: Stage, point: str) -> None:
    steps = [*STEPS[:3], ["call", "wire", 7], ["call", "put", 1], ["ask"]]
    whole = whole_tape(stage, steps)
    stage.arm(point, nth=2 if point == "lease.granted" else 1)
    run = stage.run(*steps)
    until_waiting(stage, run)
    answer(stage, run)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.reached(point) == 1
    assert stage.tape(run) == whole
    assert stage.standing(run, "wire") == 1, "the second call of it was not approved"
    (begun,) = stage.watch.of("effect_begun", run, tool="wire")
    assert begun.approval == "pay 0"
    assert stage.watch.of("approval_refused", run, tool="wire")


@pytest.mark.parametrize(("answered", "n"), [("deny", 7), ("approve", 8)])
def test_what_was_not_approved_does_not_happen(stage: Stage, answered: str, n: int) -> None:
    run = stage.run(["gate", "pay", ["wire", 7]], ["call", "wire", n], ["ask"])
    until_waiting(stage, run)
    answer(stage, run, answered)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.acts(run) == []
    assert len(stage.watch.of("approval_refused", run)) == 1
    assert not stage.watch.of("effect_begun", run)


@pytest.mark.parametrize("kill", [False, True])
def test_a_time_out(stage: Stage, kill: bool) -> None:
    steps = [
        ["gate", "a", None, {"timeout": 0.3}],
        ["gate", "b", None, {"timeout": 0.3, "on_timeout": "deny"}],
        ["ask"],
    ]
    if kill:
        stage.arm("gate.opened", each_run=False)
    run = stage.run(*steps)
    assert stage.until_rest(run) == "TERMINAL"
    told = [(event.name, event.answer, event.timed_out) for event in stage.watch.of("gate_answered", run)]
    assert told == [("a", None, True), ("b", "deny", True)]
    assert answerless(stage, run) == ["nobody answered", "deny"]


def answerless(stage: Stage, run: str) -> list[Any]:
    (ended,) = stage.watch.of("run_ended", run)
    return ended.result[:2]


def test_an_answer_before_the_wait(stage: Stage) -> None:
    stage.arm("decision.asking", "HOLD")
    run = stage.run(["ask"], ["gate", "pay"], ["ask"])
    stage.watch.until(lambda: stage.host.stops(), "the run is held")
    assert answer(stage, run, "deny", reason="known beforehand")["status"] == "early"
    stage.host.server.do(lambda: stage.host.server.points.steps.go(run))
    assert stage.until_rest(run) == "TERMINAL"
    (told,) = stage.watch.of("gate_answered", run)
    assert told.answer == "deny"
    assert len(stage.watch.of("lease_granted", run)) == 1, "it did not even park"


def test_cancel_of_a_run_at_a_gate(stage: Stage) -> None:
    run = stage.run(["call", "book", 1], ["gate", "pay"], ["call", "book", 2])
    until_waiting(stage, run)
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"
    assert len(stage.acts(run)) == 1 and stage.standing(run) == 0
    with pytest.raises(Exception, match="has ended"):
        answer(stage, run)


def test_a_gate_outlives_its_server(open_stage: Opener) -> None:
    """Days may pass: the server stops, another one starts, the answer comes then."""
    stage = open_stage()
    run = stage.run(*STEPS)
    until_waiting(stage, run)
    stage.restart()
    answer(stage, run)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.standing(run) == 1


def test_a_batch_at_several_gates(stage: Stage) -> None:
    """Branches under gather wait at gates of their own; each approval goes to its own call."""
    run = stage.run(["gates", [["a", ["put", 1]], ["b", ["put", 2]], ["c", ["put", 3]]]], ["ask"])
    stage.until_event("gate_opened", run, count=3)
    answer(stage, run, "approve", "b", ordinal=0)
    answer(stage, run, "deny", "a", ordinal=0)
    answer(stage, run, "approve", "c", ordinal=0)
    assert stage.until_rest(run) == "TERMINAL"
    begun = {event.approval: event.args["n"] for event in stage.watch.of("effect_begun", run)}
    assert begun == {"b 0": 2, "c 0": 3}
    assert stage.standing(run) == 2
