"""Crashes during recovery: the new driver, the hook worker that looks up, dispatches or undoes; and pairs of kills."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crash.stage import Stage
from tests.crash.test_points import ACTED, NOT_ACTED, OUTBOX, Outcome, again, effect_of, observed, rows_of, stuck


def steps_of(tool: str) -> list[list[Any]]:
    return [["ask"], ["ask"], ["call", tool, 7], ["ask"]]


def check(stage: Stage, run: str, tool: str, expected: Outcome) -> None:
    assert stage.until_rest(run) == expected.run
    effect = effect_of(stage, run, tool)
    assert (effect["status"], effect["resolution"]) == (expected.status, expected.resolution)
    assert effect["attempts"] == expected.attempts
    acts = 0 if tool in ("peek", "mail_peek") else expected.acts
    assert len(stage.acts(run)) == acts
    assert stage.standing(run) == (acts if expected.standing is None else expected.standing)


def unkilled_tape(stage: Stage, steps: list[list[Any]]) -> list[str]:
    run = stage.run(*steps)
    assert stage.until_rest(run) in ("TERMINAL", "FAILED")
    return stage.tape(run)


# --- the drive that recovers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("tool", ["peek", "put", "put_seen", "wire", "book"])
def test_grant(stage: Stage, tool: str, nth: int) -> None:
    """The lease is durable, the agent dies before it has seen it: at the first grant, and at the one after a kill."""
    whole = unkilled_tape(stage, steps_of(tool))
    stage.arm("effect.acted")
    stage.arm("lease.granted", nth=nth)
    run = stage.run(*steps_of(tool))
    check(stage, run, tool, ACTED[tool])
    assert stage.reached("lease.granted") == stage.reached("effect.acted") == 1
    assert len(stage.watch.of("lease_granted", run)) == 3
    assert stage.tape(run) == whole


@pytest.mark.parametrize("death", ["TERM", "LOST"])
def test_grant_other_deaths(stage: Stage, death: str) -> None:
    whole = unkilled_tape(stage, steps_of("wire"))
    stage.arm("lease.granted", death)
    run = stage.run(*steps_of("wire"))
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.reached("lease.granted") == 1
    assert stage.tape(run) == whole


# --- the look-up --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kills", [1, 2])
@pytest.mark.parametrize("acted", [True, False], ids=["acted", "not acted"])
@pytest.mark.parametrize("tool", ["put_seen", "put_fog", "wire", "rumour", "fogged", "book"])
def test_look_up(stage: Stage, tool: str, acted: bool, kills: int) -> None:
    """The hook worker dies with the answer: it is asked again, whatever it was."""
    stage.arm("effect.acted" if acted else "effect.begun")
    for _ in range(kills):
        stage.arm("observe.answered")
    run = stage.run(*steps_of(tool))
    expected = (ACTED if acted else NOT_ACTED)[tool]
    check(stage, run, tool, expected)
    assert stage.reached("observe.answered") == kills
    assert rows_of(stage, run) == expected.rows
    lost = [event for event in stage.watch.of("attempt_ended", run, what="look-up") if "observe.answered" in event.how]
    assert len(lost) == kills


# --- the outbox ---------------------------------------------------------------------------------------------------

DISPATCH_NOT_ACTED = {
    "mail_peek": again("R-again", acts=0),
    "mail_put": again("I-again"),
    "mail_seen": again("I-ask", "I-absent"),
    "mail_wire": again("N-ask-look-up", "N-absent"),
    "mail_rumour": stuck(0, "N-ask-look-up", "N-unclear"),
    "mail_blind": stuck(0, "N-ask"),
    "mail_gamble": Outcome("FAILED", "compensated", ("N-undo",), acts=0),
}
DISPATCH_ACTED = {
    "mail_peek": again("R-again", acts=0),
    "mail_put": again("I-again"),
    "mail_seen": observed("I-ask", "I-present"),
    "mail_wire": observed("N-ask-look-up", "N-present"),
    "mail_rumour": observed("N-ask-look-up", "N-present"),
    "mail_blind": stuck(1, "N-ask"),
    "mail_gamble": Outcome("FAILED", "compensated", ("N-undo",), acts=1, standing=0),
}


@pytest.mark.parametrize("point", ["dispatch.started", "dispatch.acted"])
@pytest.mark.parametrize("tool", OUTBOX)
def test_dispatch(stage: Stage, tool: str, point: str) -> None:
    whole = unkilled_tape(stage, steps_of(tool))
    stage.arm(point)
    run = stage.run(*steps_of(tool))
    expected = (DISPATCH_ACTED if point == "dispatch.acted" else DISPATCH_NOT_ACTED)[tool]
    check(stage, run, tool, expected)
    assert stage.reached(point) == 1
    assert rows_of(stage, run) == expected.rows
    if expected.status == "CONFIRMED":
        assert stage.tape(run) == whole


@pytest.mark.parametrize(
    ("tool", "points", "attempts"),
    [
        ("mail_put", ["effect.begun", "dispatch.started", "dispatch.acted"], 3),
        ("mail_put", ["dispatch.acted", "dispatch.acted", "lease.granted"], 3),
        ("mail_wire", ["dispatch.started", "dispatch.acted", "observe.answered"], 2),
        ("mail_wire", ["dispatch.acted", "observe.answered", "run.ending"], 1),
        ("mail_seen", ["dispatch.started", "observe.answered", "dispatch.acted"], 2),
    ],
)
def test_dispatch_killed_again(stage: Stage, tool: str, points: list[str], attempts: int) -> None:
    whole = unkilled_tape(stage, steps_of(tool))
    for point in points:
        stage.arm(point)
    run = stage.run(*steps_of(tool))
    assert stage.until_rest(run) == "TERMINAL"
    assert sorted(event.point for event in stage.watch.of("point_reached")) == sorted(points)
    assert effect_of(stage, run, tool)["attempts"] == attempts
    assert stage.standing(run) == len(stage.acts(run)) == 1
    assert stage.tape(run) == whole


# --- undoing ------------------------------------------------------------------------------------------------------

FAILING = [["ask"], ["call", "book", 1], ["call", "book_put", 2], ["ask"], ["call", "book", 3], ["fail"]]


def undone_in_order(stage: Stage, run: str) -> list[str]:
    return [event.key.split("/", 1)[1] for event in stage.watch.of("obligation_moved", run, status="DONE")]


@pytest.mark.parametrize(
    ("point", "narrow"),
    [
        ("compensate.acted", {}),
        ("compensate.acted", {"nth": 2}),
        ("compensate.acted", {"nth": 3}),
        ("run.ending", {}),
        ("run.ended", {}),
        ("effect.acted", {"tool": "book", "decision_index": 1}),
    ],
)
def test_failed_run_undone(stage: Stage, point: str, narrow: dict[str, Any]) -> None:
    """A failed run's acts are undone newest first, also when the process that undoes is killed in the middle."""
    whole = unkilled_tape(stage, FAILING)
    stage.arm(point, **narrow)
    run = stage.run(*FAILING)
    assert stage.until_rest(run) == "FAILED"
    assert stage.reached(point) == 1
    assert undone_in_order(stage, run) == ["1/0/book/undo/1", "0/1/book_put/undo/1", "0/0/book/undo/1"]
    assert stage.standing(run) == 0
    assert len(stage.acts(run)) == 3
    assert stage.tape(run) == whole


def test_undo_killed_twice(stage: Stage) -> None:
    for _ in range(2):
        stage.arm("compensate.acted")
    run = stage.run(*FAILING)
    assert stage.until_rest(run) == "FAILED"
    assert stage.reached("compensate.acted") == 2
    assert stage.standing(run) == 0


@pytest.mark.parametrize("tool", ["gamble", "mail_gamble"])
def test_doubtful_act_undone_under_kills(stage: Stage, tool: str) -> None:
    """N-undo: nobody can be asked, so the act is undone; the undo is killed, and done again."""
    stage.arm("effect.acted" if tool == "gamble" else "dispatch.acted")
    stage.arm("compensate.acted")
    run = stage.run(*steps_of(tool))
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, tool)
    assert (effect["status"], effect["resolution"]) == ("FAILED", "compensated")
    assert stage.reached("compensate.acted") == 1
    assert stage.standing(run) == 0


def test_undo_that_cannot_be_repeated_is_for_a_person(stage: Stage) -> None:
    """An undo obeys section 4 by its own semantics: non_idempotent without look-up, killed, is STUCK."""
    stage.arm("compensate.acted")
    run = stage.run(["ask"], ["call", "book_once", 1], ["fail"])
    assert stage.until_rest(run) == "STUCK"
    assert stage.standing(run) == 0
    stage.order("resolve", run, key=f"{run}/0/0/book_once/undo/1", how="confirm")
    assert stage.until_status(run, "FAILED") == "FAILED"


def test_surplus_act_undone_in_a_healthy_run(stage: Stage) -> None:
    """X-duplicate: the first act counts, the second is undone, and the run's end waits for it."""
    stage.untrue.add("twice_undone")
    stage.arm("effect.acted")
    stage.arm("compensate.acted")
    run = stage.run(["ask"], ["call", "twice_undone", 1], ["ask"])
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.standing(run) == 1
    assert [act["undone"] for act in stage.acts(run)] == [False, True]


# --- pairs: a second kill after the first -------------------------------------------------------------------------

FIRST = ("decision.recorded", "effect.begun", "effect.acted", "at:before-act")
SECOND = (
    ("effect.acted", {}),
    ("at:after-act", {}),
    ("lease.granted", {"nth": 3}),
    ("decision.replied", {"decision_index": 2}),
    ("effect.ended", {}),
    ("run.ending", {}),
)


@pytest.mark.parametrize("second", SECOND, ids=lambda pair: pair[0])
@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("tool", ["put", "wire", "put_seen"])
def test_pair(stage: Stage, tool: str, first: str, second: tuple[str, dict[str, Any]]) -> None:
    """Three deaths: the first grant, then one on the way, then another wherever the run comes by next."""
    whole = unkilled_tape(stage, steps_of(tool))
    stage.arm("lease.granted")
    stage.arm(first, **({"decision_index": 1} if first.startswith("decision") else {}))
    stage.arm(second[0], **second[1])
    run = stage.run(*steps_of(tool))
    assert stage.until_rest(run) == "TERMINAL"
    assert effect_of(stage, run, tool)["status"] == "CONFIRMED"
    assert stage.standing(run) == len(stage.acts(run)) == 1
    assert stage.tape(run) == whole
    assert len(stage.watch.of("point_reached")) >= 2
