"""Child runs under SIGKILL: none is started twice, none is forgotten, the parent gets each end once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.crash.stage import ENDS, Stage

Opener = Callable[..., Stage]
CHILD = [["ask"], ["call", "wire", 1], ["ask"]]
STEPS: list[list[Any]] = [["ask"], ["child", CHILD], ["call", "put", 2], ["ask"]]


def children(stage: Stage, run: str) -> list[str]:
    return [event.child for event in stage.watch.of("child_started", run)]


def ends(stage: Stage, run: str) -> list[str]:
    told = stage.watch.of("child_ended", run)
    return [event.status for event in sorted(told, key=lambda event: event.ordinal)]


def unkilled_tape(stage: Stage, steps: list[list[Any]]) -> list[str]:
    run = stage.run(*steps)
    assert stage.until_rest(run) == "TERMINAL"
    return stage.tape(run)


def test_one_worker_is_enough(stage: Stage) -> None:
    """One run at a time: the parent gives its worker to its child, and the child to its own."""
    run = stage.run(["ask"], ["child", [["call", "wire", 1], ["child", [["call", "wire", 2]]]]], ["ask"])
    assert stage.until_rest(run) == "TERMINAL"
    (child,) = children(stage, run)
    (grandchild,) = children(stage, child)
    assert [stage.standing(each) for each in (run, child, grandchild)] == [0, 1, 1]
    assert stage.watch.of("run_moved", run, status="WAITING"), "its worker was free meanwhile"


@pytest.mark.parametrize("death", ["KILL", "TERM", "LOST"])
@pytest.mark.parametrize("nth", [1, 2])
def test_the_start(stage: Stage, death: str, nth: int) -> None:
    steps: list[list[Any]] = [["ask"], ["children", [CHILD, [["ask"]]]], ["ask"]]
    whole = unkilled_tape(stage, steps)
    stage.arm("child.started", death, nth=nth)
    run = stage.run(*steps)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.reached("child.started") == 1
    assert len(children(stage, run)) == 2 and ends(stage, run) == ["TERMINAL"] * 2
    assert stage.tape(run) == whole


def test_the_start_frozen(open_stage: Opener) -> None:
    stage = open_stage(ttl="1s")
    whole = unkilled_tape(stage, STEPS)
    stage.arm("child.started", "STOP")
    run = stage.run(*STEPS)
    reached = stage.until_reached("child.started")
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.tape(run) == whole
    stage.order("thaw")
    stage.watch.until(lambda: not stage.host.server.peers[reached.worker].drives, "the zombie drops the run")
    assert len(children(stage, run)) == 1


def test_stopped_at_the_start_and_let_go(stage: Stage) -> None:
    stage.arm("child.started", "HOLD")
    run = stage.run(*STEPS)
    stage.until_reached("child.started")
    (child,) = children(stage, run)
    stage.order("step", run, go=True)
    assert stage.until_rest(run) == "TERMINAL" and stage.standing(child) == 1


@pytest.mark.parametrize(
    ("point", "narrow"),
    [
        ("decision.asking", {"nth": 2}),  # the first is its parent's
        ("decision.recorded", {"nth": 2}),
        ("effect.begun", {"tool": "wire"}),
        ("effect.acted", {"tool": "wire"}),
        ("effect.ended", {"tool": "wire"}),
        ("run.ending", {"nth": 1}),
        ("run.ended", {"nth": 1}),
        ("lease.granted", {"nth": 2}),
    ],
)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_child_is_killed(open_stage: Opener, point: str, narrow: dict[str, Any], concurrency: int) -> None:
    """With its parent parked, or in the same process as its parent."""
    stage = open_stage(concurrency=concurrency)
    whole = unkilled_tape(stage, STEPS)
    stage.arm(point, **narrow)
    run = stage.run(*STEPS)
    assert stage.until_rest(run) == "TERMINAL"
    (child,) = children(stage, run)
    assert len(stage.watch.of("point_reached", child, point=point)) == 1
    assert stage.tape(run) == whole and ends(stage, run) == ["TERMINAL"]
    assert stage.standing(child) == 1


@pytest.mark.parametrize(
    ("point", "narrow"),
    [("effect.begun", {"tool": "put"}), ("effect.acted", {"tool": "put"}), ("run.ending", {"nth": 2})],
)
def test_the_parent_is_killed_while_its_child_acts(open_stage: Opener, point: str, narrow: dict[str, Any]) -> None:
    """A worker each. The parent does things of its own beside the child."""
    stage = open_stage(workers=2)
    stage.upstreams.bank.set_faults([{"kind": "slow", "delay": "300ms", "collection": "wire"}])
    stage.arm(point, **narrow)
    run = stage.run(["ask"], ["spawn", CHILD], ["call", "put", 2], ["ask"])
    assert stage.until_rest(run) == "TERMINAL"
    assert len(stage.watch.of("point_reached", run, point=point)) == 1
    (child,) = children(stage, run)
    assert stage.standing(child) == 1 and ends(stage, run) == ["TERMINAL"]


def test_a_parent_fails_and_its_children_are_taken_back(open_stage: Opener) -> None:
    """What a child did is undone, then what its parent did before it."""
    stage = open_stage(workers=2)
    busy = [["call", "book", 2], ["sleep", 600]]
    run = stage.run(["call", "book", 1], ["spawn", busy], ["sleep", 0.4], ["fail"])
    started = stage.until_event("child_started", run)
    assert stage.until_rest(run) == "FAILED"
    assert stage.status(started.child) == "CANCELLED"
    assert stage.standing(run) == stage.standing(started.child) == 0
    assert len(stage.acts(run)) == len(stage.acts(started.child)) == 1


def test_a_cancelled_parent_with_a_child_in_a_body(open_stage: Opener) -> None:
    """The child's body is open: it ends, is recorded, is undone; its driver hears of it at once."""
    stage = open_stage(workers=2)
    stage.upstreams.bank.set_faults([{"kind": "slow", "delay": "700ms", "collection": "book"}])
    run = stage.run(["ask"], ["child", [["call", "book", 1], ["call", "book", 2]]])
    started = stage.until_event("child_started", run)
    stage.until_event("effect_begun", started.child)
    stage.until_status(run, "WAITING")
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"
    assert stage.status(started.child) == "CANCELLED"
    assert (len(stage.acts(started.child)), stage.standing(started.child)) == (1, 0)
    assert not stage.watch.of("worker_died")


@pytest.mark.parametrize("point", ["effect.acted", "observe.answered", "compensate.acted"])
def test_a_cancelled_parent_with_a_child_that_is_killed(open_stage: Opener, point: str) -> None:
    stage = open_stage(workers=2)
    run = stage.run(["call", "book", 0], ["child", [["call", "book", 1], ["sleep", 600]]])
    started = stage.until_event("child_started", run)
    stage.arm("effect.acted", run_id=started.child)
    if point != "effect.acted":
        stage.arm(point)
    stage.until_event("effect_doubted", started.child)
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"
    assert stage.status(started.child) == "CANCELLED"
    assert stage.standing(run) == stage.standing(started.child) == 0


def test_a_child_is_cancelled_alone(stage: Stage) -> None:
    run = stage.run(["ask"], ["children", [[["sleep", 600]]]], ["ask"])
    started = stage.until_event("child_started", run)
    stage.until_status(started.child, "WAITING")
    stage.order("cancel", started.child)
    assert stage.until_rest(run) == "TERMINAL"
    assert ends(stage, run) == ["CANCELLED"]
    (ended,) = stage.watch.of("run_ended", run)
    assert ended.result[1] == [f"child 0 (script, {started.child}) was cancelled"]


def test_a_hundred_children_and_a_kill_in_the_middle(open_stage: Opener) -> None:
    """Whoever drives the parent dies with fifty of its children in hand."""
    stage = open_stage(workers=2, concurrency=50)
    run = stage.run(["children", [[["now"]]] * 100], ["call", "put", 1])
    stage.until_event("child_ended", run, count=30)
    for peer in list(stage.host.server.peers.values()):
        if peer.drives:
            stage.host.supervisor.kill(peer.number, "by the test")
            break
    assert stage.until_rest(run) == "TERMINAL"
    assert len(set(children(stage, run))) == 100 and ends(stage, run) == ["TERMINAL"] * 100
    assert stage.standing(run) == 1


def test_the_server_dies_in_the_middle(open_stage: Opener) -> None:
    stage = open_stage(workers=2, concurrency=8)
    run = stage.run(["children", [CHILD] * 12], ["call", "put", 1])
    stage.until_event("child_ended", run, count=3)
    stage.restart()
    assert stage.until_rest(run) == "TERMINAL"
    assert len(children(stage, run)) == 12 and ends(stage, run) == ["TERMINAL"] * 12
    assert all(stage.standing(child) == 1 for child in children(stage, run))
    assert {stage.status(child) for child in children(stage, run)} <= ENDS
