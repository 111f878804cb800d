"""Every crash point of the agent's side x every row of the resolution table: what the table says, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tape.core.kernel.points import POINTS
from tests.crash import checker
from tests.crash.stage import Stage


@dataclass(frozen=True)
class Outcome:
    """What the effect comes to: status, how it was resolved, the row that applied, attempts, acts upstream."""

    status: str = "CONFIRMED"
    resolution: str = "returned"
    rows: tuple[str, ...] = ()
    attempts: int = 1
    acts: int = 1
    standing: int | None = None
    run: str = "TERMINAL"


UNTOUCHED = Outcome()
"""The crash was before the intent or after the outcome: nothing to settle."""


def again(*rows: str, acts: int = 1) -> Outcome:
    return Outcome(resolution="redispatched", rows=rows, attempts=2, acts=acts)


def observed(*rows: str, acts: int = 1, standing: int | None = None) -> Outcome:
    return Outcome(resolution="observed", rows=rows, acts=acts, standing=standing)


def stuck(acts: int, *rows: str) -> Outcome:
    return Outcome("UNKNOWN", "", rows, acts=acts, run="STUCK")


NOT_ACTED: dict[str, Outcome] = {
    "peek": again("R-again", acts=0),
    "put": again("I-again"),
    "put_seen": again("I-ask", "I-absent"),
    "put_fog": again("I-ask", "I-unclear"),
    "wire": again("N-ask-look-up", "N-absent"),
    "wire_async": again("N-ask-look-up", "N-absent"),
    "rumour": stuck(0, "N-ask-look-up", "N-unclear"),
    "fogged": stuck(0, "N-ask-look-up", "N-unclear"),
    "blind": stuck(0, "N-ask"),
    "gamble": Outcome("FAILED", "compensated", ("N-undo",), acts=0),
    "book": again("N-ask-look-up", "N-absent"),
    "book_put": again("I-again"),
}
"""What becomes of an effect whose intent is durable and whose body has not acted."""

ACTED: dict[str, Outcome] = {
    "peek": again("R-again", acts=0),
    "put": again("I-again"),
    "put_seen": observed("I-ask", "I-present"),
    "put_fog": again("I-ask", "I-unclear"),
    "wire": observed("N-ask-look-up", "N-present"),
    "wire_async": observed("N-ask-look-up", "N-present"),
    "rumour": observed("N-ask-look-up", "N-present"),
    "fogged": stuck(1, "N-ask-look-up", "N-unclear"),
    "blind": stuck(1, "N-ask"),
    "gamble": Outcome("FAILED", "compensated", ("N-undo",), acts=1, standing=0),
    "book": observed("N-ask-look-up", "N-present"),
    "book_put": again("I-again"),
    "twice": observed("N-ask-look-up", "X-duplicate", acts=2, standing=2),
    "twice_undone": observed("N-ask-look-up", "X-duplicate", acts=2, standing=1),
}
"""The same for one whose body has acted, and whose end is not recorded."""

OUTBOX = ("mail_peek", "mail_put", "mail_seen", "mail_wire", "mail_rumour", "mail_blind", "mail_gamble")
"""Their effects are never the agent's business: whatever kills the agent, they are dispatched once."""

AROUND = ("decision.asking", "decision.replied", "decision.recorded", "run.ending", "run.ended")
QUESTIONS = {"decision.replied": {0: 1, 1: 2, 2: 1}}


def cases() -> list[Any]:
    found: list[tuple[str, str, Outcome]] = []
    for tool in NOT_ACTED:
        found += [(point, tool, UNTOUCHED) for point in (*AROUND, "effect.ended")]
        found += [(point, tool, NOT_ACTED[tool]) for point in ("effect.begun", "at:before-act")]
    for tool in ACTED:
        found += [(point, tool, ACTED[tool]) for point in ("effect.acted", "at:after-act")]
    for tool in OUTBOX:
        found += [(point, tool, UNTOUCHED) for point in (*AROUND, "effect.begun")]
    return [pytest.param(*case, id=f"{case[0]}-{case[1]}") for case in found]


STEPS = (["ask"], ["ask"], ["call", "{tool}", 7], ["ask"])


def steps_of(tool: str) -> list[list[Any]]:
    return [[tool if word == "{tool}" else word for word in step] for step in STEPS]


@pytest.mark.parametrize(("point", "tool", "expected"), cases())
def test_point(stage: Stage, point: str, tool: str, expected: Outcome) -> None:
    unkilled = stage.run(*steps_of(tool))
    assert stage.until_rest(unkilled) == "TERMINAL"
    narrowed = {"decision_index": 1} if point.startswith("decision.") else {}
    stage.arm(point, **narrowed)
    run = stage.run(*steps_of(tool))
    stage.until_reached(point)
    assert stage.until_rest(run) == expected.run
    if point == "run.ended":
        stage.until_event("worker_died")

    effect = effect_of(stage, run, tool)
    reads = tool in ("peek", "mail_peek")
    assert (effect["status"], effect["resolution"]) == (expected.status, expected.resolution)
    assert effect["attempts"] == expected.attempts
    assert rows_of(stage, run) == expected.rows
    acts = 0 if reads else expected.acts
    assert len(stage.acts(run)) == acts
    if tool not in ("twice", "twice_undone"):  # unkilled, they act twice and nobody has a reason to look
        assert stage.standing(run) == (acts if expected.standing is None else expected.standing)
    else:
        stage.untrue.add(tool)
        if tool == "twice_undone":
            stage.until_event("obligation_moved", run, status="DONE")
        assert stage.standing(run) == expected.standing
    assert stage.asked(run) == ({0: 1, 1: 1} if expected.run == "STUCK" else QUESTIONS.get(point, {0: 1, 1: 1, 2: 1}))
    same_tape(stage, run, unkilled, expected)
    if expected.run == "STUCK":
        settle_by_person(stage, run, effect["key"], bool(expected.acts))


def same_tape(stage: Stage, run: str, unkilled: str, expected: Outcome) -> None:
    """I2: as if it had never been killed; where the effect is not CONFIRMED, up to there."""
    killed, whole = stage.tape(run), stage.tape(unkilled)
    if "twice" in str(whole):
        return  # what a surplus act is called upstream stands in the result
    if expected.status == "CONFIRMED":
        assert killed == whole
    else:
        until = next(place for place, text in enumerate(whole) if text.startswith("effect_ended"))
        assert killed[:until] == whole[:until]


def settle_by_person(stage: Stage, run: str, key: str, happened: bool) -> None:
    """STUCK helps itself to nothing: only what a person finds in the ledger lets it go on."""
    with pytest.raises(Exception, match="not settled"):
        stage.order("redrive", run)
    seen = {"tool": key.rsplit("/", 1)[1], "n": 7, "place": key.split("/", 1)[1], "ref": ""}
    if happened:
        stage.order("resolve", run, key=key, how="confirm", result=seen)
    else:
        stage.order("resolve", run, key=key, how="fail")
    assert stage.until_status(run, "TERMINAL") == "TERMINAL"
    assert effect_of(stage, run, key.rsplit("/", 1)[1])["resolution"] == "decided"


def effect_of(stage: Stage, run: str, tool: str) -> dict[str, Any]:
    (story,) = [story for story in checker.read(stage.evidence()).stories if story.id == run]
    (effect,) = [effect for effect in story.effects.values() if effect["tool"] == tool]
    return effect


def rows_of(stage: Stage, run: str) -> tuple[str, ...]:
    """Rows of the table that applied, without repetitions (an unclear look-up is asked several times)."""
    rows = [event.row for event in stage.watch.of("effect_doubted", run) + stage.watch.of("observed", run)]
    rows = [row for row in rows if row != "N-settling"]
    return tuple(dict.fromkeys(rows))


@pytest.mark.parametrize("tool", ["blind", "fogged"])
def test_retry_ordered_by_a_person(stage: Stage, tool: str) -> None:
    stage.arm("effect.begun")
    run = stage.run(["ask"], ["call", tool, 1], ["ask"])
    assert stage.until_rest(run) == "STUCK"
    stage.order("resolve", run, key=f"{run}/0/0/{tool}", how="retry")
    assert stage.until_status(run, "TERMINAL") == "TERMINAL"
    effect = effect_of(stage, run, tool)
    assert (effect["status"], effect["resolution"], effect["attempts"]) == ("CONFIRMED", "redispatched", 2)
    assert stage.standing(run) == 1


@pytest.mark.parametrize("point", ["decision.asking", "decision.replied", "decision.recorded"])
@pytest.mark.parametrize("index", [0, 4, 9])
def test_each_decision_of_a_loop(stage: Stage, point: str, index: int) -> None:
    steps = [["ask"], ["call", "put", 1]] * 10
    unkilled = stage.run(*steps)
    assert stage.until_rest(unkilled) == "TERMINAL"
    stage.arm(point, decision_index=index)
    run = stage.run(*steps)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.reached(point) == 1
    assert stage.tape(run) == stage.tape(unkilled)
    assert sum(stage.asked(run).values()) == (11 if point == "decision.replied" else 10)


SAMPLES = (["now"], ["uuid"], ["carry"], ["random"], ["sample"], ["point", "mine"], ["now"], ["carry"], ["ask"])


@pytest.mark.parametrize(
    ("point", "narrow"),
    [
        ("at:mine", {}),
        ("effect.acted", {"nth": 1}),
        ("effect.ended", {"nth": 2}),
        ("decision.recorded", {}),
        ("lease.granted", {"nth": 2}),
    ],
)
def test_samples_are_drawn_once(stage: Stage, point: str, narrow: dict[str, Any]) -> None:
    unkilled = stage.run(*SAMPLES)
    assert stage.until_rest(unkilled) == "TERMINAL"
    if point == "lease.granted":
        stage.arm("at:mine")
    stage.arm(point, **narrow)
    run = stage.run(*SAMPLES)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.reached(point) == 1
    assert stage.tape(run) == stage.tape(unkilled)


@pytest.mark.parametrize(
    ("point", "nth", "seconds"),
    [
        ("timer.set", 1, 0.3),
        ("timer.set", 2, 0.3),
        ("lease.granted", 2, 1.5),  # long enough for the run to give its lease back in any case
        ("effect.acted", 1, 0.3),
        ("run.ending", 1, 0.3),
    ],
)
def test_sleep(stage: Stage, point: str, nth: int, seconds: float) -> None:
    steps = [["ask"], ["sleep", seconds], ["call", "wire", 1], ["sleep", 0], ["ask"]]
    unkilled = stage.run(*steps)
    assert stage.until_rest(unkilled) == "TERMINAL"
    stage.arm(point, nth=nth)
    run = stage.run(*steps)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.reached(point) == 1
    assert stage.tape(run) == stage.tape(unkilled)
    assert len(stage.watch.of("timer_fired", run)) == 2


ELSEWHERE = {
    "gate.opened": "test_gates.py",
    "budget.awaited": "test_capgates.py",
    "child.started": "test_children.py",
    "lease.granted": "test_recovery.py",
    "observe.answered": "test_recovery.py",
    "dispatch.started": "test_left.py",
    "dispatch.acted": "test_left.py",
    "compensate.acted": "test_cancel.py",
}
"""Points that are not of the agent's own way through an effect, and where they are killed at."""
KILLED_AT = frozenset({case.values[0] for case in cases()} | {*ELSEWHERE, "timer.set"})
"""What this suite kills at (that each is really hit, `tests/conftest.py` says after a whole run of it)."""


@pytest.mark.parametrize("point", ELSEWHERE)
def test_what_is_killed_at_elsewhere_is(point: str) -> None:
    assert f'"{point}"' in Path(__file__).with_name(ELSEWHERE[point]).read_text("utf-8")


def test_every_point_has_its_test() -> None:
    """The registry and these tests name the same points."""
    assert KILLED_AT - {"at:before-act", "at:after-act"} == {point.name for point in POINTS}
