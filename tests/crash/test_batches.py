"""Calls under asyncio.gather are one decision's batch: killed at each point of it, and several runs side by side."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.crash import checker
from tests.crash.stage import Stage

Opener = Callable[..., Stage]

BATCH = ["peek", "put", "wire", "wire_async", "put_seen", "book", "mail_wire", "put"]
ACTING = 7
STEPS: list[list[Any]] = [["ask"], ["batch", [[tool, place] for place, tool in enumerate(BATCH)]], ["ask"]]


def points() -> list[Any]:
    found: list[tuple[str, dict[str, Any]]] = [
        *(("effect.begun", {"nth": nth}) for nth in range(1, 9)),
        *(("effect.acted", {"nth": nth}) for nth in range(1, 8)),
        *(("effect.ended", {"nth": nth}) for nth in range(1, 8)),
        *(("at:before-act", {"nth": nth}) for nth in (1, 3, 5, 7)),
        *(("at:after-act", {"nth": nth}) for nth in (1, 3, 5, 7)),
        ("dispatch.started", {}),
        ("dispatch.acted", {}),
    ]
    return [pytest.param(*case, id=f"{case[0]}-{case[1].get('nth', 1)}") for case in found]


@pytest.mark.parametrize(("point", "narrow"), points())
def test_batch(stage: Stage, point: str, narrow: dict[str, Any]) -> None:
    """Eight calls, async and in threads, by five kinds of tools: each comes to its one act, in the tape's order."""
    unkilled = stage.run(*STEPS)
    assert stage.until_rest(unkilled) == "TERMINAL"
    stage.arm(point, **narrow)
    run = stage.run(*STEPS)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.reached(point) == 1
    assert stage.standing(run) == len(stage.acts(run)) == ACTING
    assert stage.tape(run) == stage.tape(unkilled)
    assert stage.asked(run) == {0: 1, 1: 1}


@pytest.mark.parametrize("second", ["effect.acted", "at:after-act", "observe.answered", "lease.granted", "run.ending"])
def test_batch_killed_again(stage: Stage, second: str) -> None:
    unkilled = stage.run(*STEPS)
    assert stage.until_rest(unkilled) == "TERMINAL"
    stage.arm("effect.acted", nth=3)
    stage.arm(second, nth=2 if second in ("lease.granted", "effect.acted") else 1)
    run = stage.run(*STEPS)
    assert stage.until_rest(run) == "TERMINAL"
    assert len(stage.watch.of("point_reached")) == 2
    assert stage.standing(run) == len(stage.acts(run)) == ACTING
    assert stage.tape(run) == stage.tape(unkilled)


def test_batch_with_one_that_only_a_person_knows(stage: Stage) -> None:
    """Its siblings are settled, the run is STUCK for the one; resolved, it goes on."""
    steps = [["ask"], ["batch", [["wire", 1], ["blind", 2], ["put", 3]]], ["ask"]]
    stage.arm("effect.acted", tool="blind")
    run = stage.run(*steps)
    assert stage.until_rest(run) == "STUCK"
    stage.order("resolve", run, key=f"{run}/0/1/blind", how="confirm", result={"n": 2})
    assert stage.until_status(run, "TERMINAL") == "TERMINAL"
    assert stage.standing(run) == len(stage.acts(run)) == 3


# --- children of tools --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own_session", [False, True], ids=["in the group", "with setsid"])
@pytest.mark.parametrize("death", ["point", "signal"])
def test_child_of_a_tool_dies_with_it(stage: Stage, own_session: bool, death: str) -> None:
    """A child that a tool has started, and that would act later, is dead before anything else happens: in the
    agent's group, or in a session of its own."""
    stage.untrue.add("brood")
    if death == "point":
        stage.arm("at:brooding")
    run = stage.run(["ask"], ["call", "brood", 1, {"own_session": own_session}])
    if death == "signal":
        started = stage.until_line("children.jsonl", what="started")
        stage.host.supervisor.kill(stage.watch.of("lease_granted", run)[0].worker, "by the test")
    died = stage.until_event("worker_died")
    assert died.proven
    (started, *_) = stage.lines("children.jsonl")
    assert not alive(started["child"])
    (stage.logs / "at-once").touch()
    assert stage.until_rest(run) == "TERMINAL"
    acted = [line for line in stage.lines("children.jsonl") if line["what"] == "acted"]
    assert len(acted) == 1, "only the second attempt's child has acted"
    assert sum(len(acts) for key, acts in checker.read(stage.evidence()).acts.items() if run in key) == 1


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# --- several runs at once -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 4])
def test_several_runs(open_stage: Opener, concurrency: int) -> None:
    """Two workers, ten runs, a worker killed ten times: every run ends as if it had been alone and never killed."""
    stage = open_stage(workers=2, concurrency=concurrency)
    steps = [["ask"], ["call", "wire", 1], ["batch", [["put", 2], ["wire_async", 3], ["mail_put", 4]]], ["ask"]]
    unkilled = stage.run(*steps)
    assert stage.until_rest(unkilled) == "TERMINAL"
    for nth in range(1, 11):
        stage.arm(("effect.acted", "effect.begun", "decision.recorded", "lease.granted")[nth % 4], nth=1 + nth // 2)
    runs = [stage.run(*steps) for _ in range(10)]
    for run in runs:
        assert stage.until_rest(run) == "TERMINAL"
        assert stage.standing(run) == len(stage.acts(run)) == 4
        assert stage.tape(run) == stage.tape(unkilled)
    assert len(stage.watch.of("point_reached")) >= 8


def test_a_kill_hits_all_runs_of_its_worker(open_stage: Opener) -> None:
    stage = open_stage(concurrency=4)
    runs = [stage.run(["ask"], *[["call", "wire", n] for n in range(4)], ["ask"]) for _ in range(4)]
    for run in runs:
        stage.until_event("effect_begun", run)
    driver = stage.watch.of("lease_granted", runs[0])[-1].pid
    os.kill(driver, 9)
    for run in runs:
        assert stage.until_rest(run) == "TERMINAL"
        assert stage.standing(run) == len(stage.acts(run)) == 4
