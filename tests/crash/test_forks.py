"""Forks with real processes: a fork never acts, wherever it is killed; what it is promoted to acts once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.crash import checker
from tests.crash.stage import Stage

STEPS: tuple[list[Any], ...] = (
    ["ask"],
    ["call", "wire", 1],
    ["ask"],
    ["batch", [["put", 2], ["wire", 3], ["book", 4]]],
    ["call", "mail_wire", 5],
    ["sleep", 0.05],
    ["random"],
    ["ask"],
)
FIRST_ASK = 3
FIRST_WIRE = 5
POINTS = (
    "decision.asking",
    "decision.replied",
    "decision.recorded",
    "effect.begun",
    "timer.set",
    "run.ending",
    "run.ended",
)


def whole(stage: Stage) -> str:
    run = stage.run(*STEPS)
    assert stage.until_rest(run) == "TERMINAL"
    return run


def acts_in_all(stage: Stage) -> int:
    return sum(len(acts) for acts in checker.read(stage.evidence()).acts.values())


def fork(stage: Stage, run: str, at: int) -> str:
    return stage.order("fork", run, at=at)["run"]


def story(stage: Stage, run: str) -> checker.Story:
    return next(story for story in checker.read(stage.evidence()).stories if story.id == run)


@pytest.mark.parametrize("at", [1, FIRST_ASK, FIRST_WIRE])
def test_a_fork_decides_and_calls_nothing(stage: Stage, at: int) -> None:
    source = whole(stage)
    before = acts_in_all(stage)
    made = fork(stage, source, at)
    assert stage.until_rest(made) == "TERMINAL"
    assert acts_in_all(stage) == before and stage.acts(made) == []
    assert not [line for line in stage.lines("bodies.jsonl") if line["key"].startswith(f"{made}/")]
    told = story(stage, made)
    assert {row["status"] for row in told.effects.values()} == {"CONFIRMED"} and len(told.effects) == 5
    assert not told.duties and not told.attempts
    assert sorted(stage.asked(made)) == ([0, 1, 2] if at == 1 else [1, 2])


@pytest.mark.parametrize("point", POINTS)
def test_a_fork_that_is_killed_anywhere_goes_on_and_calls_nothing(stage: Stage, point: str) -> None:
    source = whole(stage)
    calm = fork(stage, source, FIRST_ASK)
    assert stage.until_rest(calm) == "TERMINAL"
    before, reached = acts_in_all(stage), stage.reached(point)
    stage.arm(point)
    made = fork(stage, source, FIRST_ASK)
    assert stage.until_rest(made) == "TERMINAL"
    stage.until_reached(point, reached + 1)
    stage.until_event("worker_died")
    assert acts_in_all(stage) == before and stage.acts(made) == []
    assert stage.tape(made) == stage.tape(calm)


def test_every_effect_of_a_fork_is_killed_behind(stage: Stage) -> None:
    source = whole(stage)
    before = acts_in_all(stage)
    for nth in range(1, 6):
        stage.arm("effect.begun", nth=nth)
        made = fork(stage, source, 1)
        assert stage.until_rest(made) == "TERMINAL"
        assert stage.reached("effect.begun") == nth
    assert acts_in_all(stage) == before


@pytest.mark.parametrize("point", [None, "effect.begun", "effect.acted", "effect.ended"])
def test_a_promoted_fork_acts_once(stage: Stage, point: str | None) -> None:
    source = whole(stage)
    made = fork(stage, source, FIRST_ASK)
    assert stage.until_rest(made) == "TERMINAL"
    before = acts_in_all(stage)
    if point is not None:
        stage.arm(point, tool="wire")
    promoted = stage.order("promote", made)["run"]
    assert stage.until_rest(promoted) == "TERMINAL"
    assert (stage.standing(promoted, "wire"), stage.standing(promoted)) == (2, 5)
    assert acts_in_all(stage) - before == 5 and stage.acts(made) == []
    assert sorted(stage.asked(promoted)) == [1, 2]
    assert stage.reached(point or "") == (point is not None)


def test_a_fork_that_fails_undoes_nothing_of_its_source(stage: Stage) -> None:
    source = stage.run(["ask"], ["call", "book", 1], ["fail"])
    assert stage.until_rest(source) == "FAILED"
    assert stage.standing(source) == 0
    other = stage.run(["ask"], ["call", "book", 1], ["ask"])
    assert stage.until_rest(other) == "TERMINAL"
    made = stage.order("fork", other, at=FIRST_WIRE, input=[["ask"], ["call", "book", 1], ["fail"]])["run"]
    assert stage.until_rest(made) == "FAILED"
    assert stage.standing(other) == 1 and stage.acts(made) == []


def test_a_fork_whose_code_does_not_fit_is_stuck_with_three_ways_out(stage: Stage) -> None:
    source = whole(stage)
    made = stage.order("fork", source, at=FIRST_WIRE, input=[["ask"], ["call", "wire", 99], ["ask"]])["run"]
    assert stage.until_rest(made) == "STUCK"
    commands = stage.watch.of("run_moved", made, status="STUCK")[-1].commands
    assert [command.split(" ")[1] for command in commands] == ["redrive", "fork", "cancel"]
    assert commands[1] == f"tape fork {made} --at {FIRST_ASK}"
    again = fork(stage, made, FIRST_ASK)
    assert stage.until_rest(again) == "TERMINAL", "a fork where the tape still fits goes on with the new call"
    assert stage.acts(again) == []


def test_a_server_that_is_killed_over_a_fork(open_stage: Callable[..., Stage]) -> None:
    stage = open_stage()
    source = whole(stage)
    made = fork(stage, source, FIRST_ASK)
    stage.until_event("lease_granted", made)
    stage.restart()
    assert stage.until_rest(made) == "TERMINAL"
    assert stage.acts(made) == []
