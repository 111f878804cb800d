"""A capped agent that is killed: the totals are right, and neither the model nor the bank is asked beyond the cap."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from tests.crash.stage import Stage

Opener = Callable[..., Stage]

CAP = 50_000
"""An ask of `think` costs 0.001 and at most 0.01, a call of `priced` 0.02; `muse` is not marked."""
STEPS = [["ask"], ["call", "priced", 1], ["ask"], ["call", "priced", 2], ["ask"], ["call", "priced", 3]]


def purse(stage: Stage, run: str) -> dict[str, tuple[int | None, int, int, int]]:
    """Cap, reserved, spent, lost by unit."""
    with closing(sqlite3.connect(f"file:{stage.journal}?mode=ro", uri=True)) as journal:
        sql = "SELECT unit, cap, reserved, spent, lost FROM budget JOIN run ON run.no = run_no WHERE id = ?"
        return {row[0]: tuple(row[1:]) for row in journal.execute(sql, (run,))}


def refused(stage: Stage, run: str) -> list[str]:
    return [event.place.replace(f"{run}/", "") for event in stage.watch.of("budget_refused", run)]


def test_the_unkilled_run_stops_at_its_cap(open_stage: Opener) -> None:
    stage = open_stage(budget="{usd: 0.05}")
    run = stage.run(*STEPS)
    assert stage.until_rest(run) == "TERMINAL"
    assert purse(stage, run)["usd_micro"] == (CAP, 0, 42_000, 0)
    assert refused(stage, run) == ["2/0/priced"]
    assert len(stage.acts(run)) == 2


KILLS: dict[str, tuple[dict[str, Any], int, int, list[str]]] = {
    # point: narrowed to; spent, lost, refused
    "decision.asking": ({"decision_index": 1}, 42_000, 0, ["2/0/priced"]),
    "decision.replied": ({"decision_index": 1}, 32_000, 10_000, ["1/0/priced", "2/0/priced"]),
    "decision.recorded": ({"decision_index": 1}, 42_000, 0, ["2/0/priced"]),
    "effect.begun": ({"decision_index": 1}, 42_000, 0, ["2/0/priced"]),
    "effect.acted": ({"decision_index": 1}, 42_000, 0, ["2/0/priced"]),
    "effect.ended": ({"decision_index": 1}, 42_000, 0, ["2/0/priced"]),
}


@pytest.mark.parametrize("point", KILLS)
def test_a_killed_run_keeps_its_cap(open_stage: Opener, point: str) -> None:
    narrowed, spent, lost, expected = KILLS[point]
    stage = open_stage(budget="{usd: 0.05}")
    stage.arm(point, **narrowed)
    run = stage.run(*STEPS)
    stage.until_reached(point)
    assert stage.until_rest(run) == "TERMINAL"
    assert purse(stage, run)["usd_micro"] == (CAP, 0, spent, lost)
    assert refused(stage, run) == expected
    assert len(stage.acts(run)) == (1 if lost else 2)
    asked = stage.asked(run)
    assert asked == {0: 1, 1: 2 if lost else 1, 2: 1}


def test_the_same_reply_lost_again_and_again_ends_at_the_cap(open_stage: Opener) -> None:
    """Each lost reply is taken at its maximum; when no more fits, nobody asks."""
    stage = open_stage(budget="{usd: 0.025}")
    stage.arm("decision.replied")
    stage.arm("decision.replied")
    run_id = stage.run(["ask"])
    stage.until_reached("decision.replied", 2)
    assert stage.until_rest(run_id) == "FAILED"
    assert purse(stage, run_id)["usd_micro"] == (25_000, 0, 20_000, 20_000)
    assert stage.asked(run_id) == {0: 2}
    assert refused(stage, run_id) == ["decision 0"]


def test_a_person_raises_the_cap_of_a_run_under_way(open_stage: Opener) -> None:
    stage = open_stage(budget="{usd: 0.02}")
    run = stage.run(["ask"], ["sleep", 1], ["call", "priced", 1])
    assert stage.until_status(run, "WAITING")
    stage.order("budget", run, caps={"usd_micro": 21_000})
    assert stage.until_rest(run) == "TERMINAL"
    assert purse(stage, run)["usd_micro"] == (21_000, 0, 21_000, 0)
    assert len(stage.acts(run)) == 1


@pytest.mark.parametrize("point", ["decision.replied", "effect.begun", "effect.acted"])
def test_many_runs_of_one_purse_under_kills(open_stage: Opener, point: str) -> None:
    """Five runs draw from their parent's purse at the same time; each is killed once on its way."""
    stage = open_stage(workers=2, concurrency=2, budget="{usd: 0.12}")
    family = [[["ask"], ["call", "priced", n], ["call", "priced", n + 10]] for n in range(5)]
    parent = stage.run(["ask"], ["gate", "wait"], ["children", family])
    assert stage.until_status(parent, "WAITING")
    stage.arm(point, each_run=True)
    stage.order("answer", parent, gate="wait", value="approve")
    assert stage.until_rest(parent, seconds=60) == "TERMINAL"
    children = [event.child for event in stage.watch.of("child_started", parent)]
    assert len(children) == 5
    for child in children:
        assert stage.until_rest(child, seconds=60) in ("TERMINAL", "FAILED")
    acts = sum(len(stage.acts(child)) for child in children)
    cap, reserved, spent, lost = purse(stage, parent)["usd_micro"]
    assert (cap, reserved) == (120_000, 0) and spent <= 120_000
    own = sum(purse(stage, child)["usd_micro"][2] for child in children)
    assert spent == own + 1_000, "the parent's purse is its own spending and its children's"
    assert lost == sum(purse(stage, child)["usd_micro"][3] for child in children)
    assert acts * 20_000 <= spent and acts >= 1
    assert all(event.run == parent for child in children for event in stage.watch.of("budget_refused", child))
    assert stage.watch.of("budget_refused"), "not all of it fits"
