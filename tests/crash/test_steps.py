"""Step mode with real processes: place by place, killed while stopped, drained while stopped; the ledger judges."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tape.core.config import load_config
from tape.core.kernel.errors import Refused
from tape.core.kernel.points import Stop
from tape.core.server.orders import Order, place
from tests.crash.stage import Stage
from tests.crash.test_deaths import STEPS, driver_of, unkilled_tape
from tests.crash.test_points import effect_of
from tests.dev.harness import Project, wait_until

PLACES = [
    "lease.granted",
    "decision.asking", "decision.replied", "decision.recorded",
    "effect.begun", "at:before-act", "at:after-act", "effect.acted", "effect.ended",
    "decision.asking", "decision.replied", "decision.recorded",
    "run.ending", "run.ended",
]  # fmt: skip
SHORT = [["ask"], ["call", "wire", 1], ["ask"]]


def until_stop(stage: Stage, run: str, count: int) -> Stop:
    """The run's stop, once it has stopped so many times."""
    stage.until_event("point_reached", run, death="HOLD", count=count)
    return stage.watch.until(
        lambda: next((stop for stop in stage.host.stops() if stop.run_id == run), None), f"{run} is stopped"
    )


def step(stage: Stage, run: str | None = None, **args: Any) -> list[dict[str, Any]]:
    return stage.order("step", run, **args)["stepped"]


def walk_to(stage: Stage, run: str, point: str, steps_before: int = 0) -> Stop:
    """Steps a run, that stops for the next time, until it is stopped at this point."""
    count = steps_before
    while True:
        count += 1
        stop = until_stop(stage, run, count)
        if stop.point == point:
            return stop
        step(stage, run)


def test_a_whole_run_place_by_place(stage: Stage) -> None:
    whole = unkilled_tape(stage, SHORT)
    step(stage)
    run = stage.run(*SHORT)
    seen: list[str] = []
    for number in range(1, len(PLACES) + 1):
        stop = until_stop(stage, run, number)
        seen.append(stop.point)
        assert (stop.pid, stop.tool) == (driver_of(stage, run), "wire" if stop.point.startswith("effect") else None)
        if stop.point == "effect.begun":
            assert stage.acts(run) == []
        if stop.point == "effect.acted":
            assert len(stage.acts(run)) == 1
            assert not stage.watch.of("effect_ended", run)
        step(stage)
    assert seen == PLACES
    assert stage.until_rest(run) == "TERMINAL"
    stage.watch.until(lambda: not stage.host.server.driven(), "the worker is free")
    assert stage.standing(run, "wire") == 1
    assert stage.tape(run) == whole
    assert len(stage.watch.of("lease_granted", run)) == 1
    assert not stage.host.server.points.waits()


def test_a_stopped_run_keeps_its_lease(open_stage: Callable[..., Stage]) -> None:
    """For longer than the lease lasts, in an own point even with the event loop held up for longer than `stall`."""
    stage = open_stage(ttl="1s", stall="1s")
    step(stage)
    run = stage.run(["ask"], ["point", "mine"], ["call", "wire", 1])
    for count, point in enumerate(["lease.granted", "at:mine"]):
        step(stage, run, to=point) if count else None
        assert until_stop(stage, run, count + 1).point == point
        stage.watch.pause(1.6)
    step(stage, go=True)
    assert stage.until_rest(run) == "TERMINAL"
    assert len(stage.watch.of("lease_granted", run)) == 1
    assert not stage.watch.of("worker_died")


@pytest.mark.parametrize("point", [*PLACES[:9], "run.ending", "run.ended"])
def test_killed_while_stopped(stage: Stage, point: str) -> None:
    """The same as a crash at that point: the run is taken up again, and nothing is done twice."""
    whole = unkilled_tape(stage, SHORT)
    step(stage)
    run = stage.run(*SHORT)
    stop = walk_to(stage, run, point)
    assert stage.order("kill", run)["killed"] == [stop.pid]
    assert stage.until_rest(run) == "TERMINAL"
    stage.until_event("worker_died", pid=stop.pid)
    assert stage.host.stops() == []
    assert stage.standing(run, "wire") == len(stage.acts(run)) == 1
    assert stage.tape(run) == whole
    effect = effect_of(stage, run, "wire")
    again, seen = ("redispatched", 2), ("observed", 1)
    settled = {"effect.begun": again, "at:before-act": again, "at:after-act": seen, "effect.acted": seen}
    assert (effect["resolution"], effect["attempts"]) == settled.get(point, ("returned", 1))
    assert stage.asked(run) == ({0: 2, 1: 1} if point == "decision.replied" else {0: 1, 1: 1})


def test_killed_by_a_stranger_while_stopped(stage: Stage) -> None:
    step(stage)
    run = stage.run(*SHORT)
    os.killpg(walk_to(stage, run, "effect.acted").pid, signal.SIGKILL)
    assert stage.until_rest(run) == "TERMINAL"
    assert effect_of(stage, run, "wire")["resolution"] == "observed"
    assert stage.standing(run, "wire") == 1


@pytest.mark.parametrize("point", ["timer.set", "effect.ended", "at:mine", "at:before-act"])
def test_run_to(stage: Stage, point: str) -> None:
    steps = [*STEPS, ["point", "mine"]]
    whole = unkilled_tape(stage, steps)
    assert step(stage, to=point) == [{"run": None, "from": None, "to": point, "go": False}]
    run = stage.run(*steps)
    stop = until_stop(stage, run, 1)
    assert (stop.point, stage.host.arms()) == (point, [])
    step(stage, run, to="run.ended")
    assert until_stop(stage, run, 2).point == "run.ended"
    step(stage, run)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.tape(run) == whole


@pytest.mark.parametrize("how", ["order", "signal"])
@pytest.mark.parametrize("point", [*PLACES[:9], "run.ending", "run.ended"])
def test_drained_while_stopped(stage: Stage, point: str, how: str) -> None:
    """What is withheld is given, the lease is given back; the next drive stops at its first place."""
    whole = unkilled_tape(stage, SHORT)
    step(stage)
    run = stage.run(*SHORT)
    stop = walk_to(stage, run, point)
    before = len(stage.watch.of("point_reached", run))
    if how == "order":
        stage.order("kill", run, signal="TERM")
    else:
        os.kill(stop.pid, signal.SIGTERM)
    assert stage.until_event("worker_died", pid=stop.pid).how.startswith("exit 0")
    if not point.startswith("run."):
        assert until_stop(stage, run, before + 1).point == "lease.granted"
        step(stage, run, go=True)
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.tape(run) == whole
    assert all(granted.crashes == 0 for granted in stage.watch.of("lease_granted", run))
    assert stage.standing(run, "wire") == 1


def test_drained_by_order_while_an_own_point_holds_the_loop(stage: Stage) -> None:
    step(stage, to="at:mine")
    run = stage.run(["ask"], ["point", "mine"], ["call", "wire", 1])
    pid = until_stop(stage, run, 1).pid
    stage.order("kill", run, signal="TERM")
    assert stage.until_event("worker_died", pid=pid).how.startswith("exit 0")
    assert stage.until_rest(run) == "TERMINAL"


def test_several_runs_in_one_worker_stop_alone(open_stage: Callable[..., Stage]) -> None:
    stage = open_stage(concurrency=3)
    step(stage, to="effect.begun")
    stopped = stage.run(*SHORT)
    until_stop(stage, stopped, 1)
    others = [stage.run(*SHORT) for _ in range(2)]
    for run in others:
        assert stage.until_rest(run) == "TERMINAL"
    assert stage.status(stopped) == "RUNNING"
    step(stage, stopped, go=True)
    assert stage.until_rest(stopped) == "TERMINAL"


def test_a_batch_of_calls_stops_as_one(stage: Stage) -> None:
    steps = [["ask"], ["batch", [["put", 1], ["wire", 2], ["put", 3]]], ["ask"]]
    whole = unkilled_tape(stage, steps)
    step(stage)
    run = stage.run(*steps)
    count = 0
    while stage.status(run) != "TERMINAL" or stage.host.stops():
        count += 1
        until_stop(stage, run, count)
        step(stage, run)
        if count == len(whole) * 3:
            raise AssertionError(stage.watch.tail())
        if stage.watch.of("run_ended", run):
            step(stage, run, go=True)
            break
    assert stage.until_rest(run) == "TERMINAL"
    points = [event.point for event in stage.watch.of("point_reached", run)]
    assert [points.count(f"effect.{name}") for name in ("begun", "acted", "ended")] == [3, 3, 3]
    assert sorted(stage.tape(run)) == sorted(whole)
    assert stage.standing(run) == 3


def test_cancelled_while_stopped(stage: Stage) -> None:
    step(stage, to="decision.recorded")
    run = stage.run(*SHORT)
    until_stop(stage, run, 1)
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"
    assert stage.standing(run) == 0


def test_the_server_stops_while_a_run_is_stopped(stage: Stage) -> None:
    whole = unkilled_tape(stage, SHORT)
    step(stage)
    run = stage.run(*SHORT)
    walk_to(stage, run, "effect.acted")
    stage.restart()
    assert stage.until_rest(run) == "TERMINAL"
    assert effect_of(stage, run, "wire")["resolution"] == "observed"
    assert stage.tape(run) == whole


# --- arms ---------------------------------------------------------------------------------------------------------


def test_a_kill_hits_only_the_process_that_was_meant(stage: Stage) -> None:
    step(stage)
    run = stage.run(*SHORT)
    stop = until_stop(stage, run, 1)
    with pytest.raises(Refused, match=f"pid {stop.pid} does: nothing was killed"):
        stage.order("kill", run, pid=stop.pid + 1)
    assert driver_of(stage, run) == stop.pid
    assert stage.order("kill", run, pid=stop.pid)["killed"] == [stop.pid]
    assert stage.until_rest(run) == "TERMINAL"


def test_what_is_armed_for_a_run_goes_with_it(stage: Stage) -> None:
    """It could never be reached; what is armed for all stays."""
    stage.arm("observe.answered")
    step(stage)
    run = stage.run(*SHORT)
    until_stop(stage, run, 1)
    stage.order("kill", run, at="dispatch.acted")
    assert [arm.run_id for arm in stage.host.arms() if arm.death != "HOLD"] == [None, run]
    step(stage, run, go=True)
    assert stage.until_rest(run) == "TERMINAL"
    left = stage.watch.until(lambda: len(stage.host.arms()) == 1 and stage.host.arms(), "one is left")
    assert [arm.point.name for arm in left] == ["observe.answered"]


def test_each_run_is_struck_once(stage: Stage) -> None:
    stage.order("kill", at="effect.acted", each_run=True)
    runs = [stage.run(*SHORT) for _ in range(2)]
    for run in runs:
        assert stage.until_rest(run) == "TERMINAL"
        assert stage.standing(run, "wire") == 1
        assert len(stage.watch.of("point_reached", run)) == 1
        assert effect_of(stage, run, "wire")["resolution"] == "observed"
    assert [arm.each_run for arm in stage.host.arms()] == [True]
    stage.order("disarm", at="effect.acted")
    last = stage.run(*SHORT)
    assert stage.until_rest(last) == "TERMINAL"
    assert not stage.watch.of("point_reached", last)


def test_what_the_project_declares(stage: Stage) -> None:
    manifest = stage.watch.until(lambda: stage.host.manifest, "the manifest")
    agent = next(agent for agent in manifest["agents"] if agent["name"] == "script")
    assert (agent["name"], agent["input"]["type"]) == ("script", "array")
    tools = {tool["name"]: tool for tool in manifest["tools"]}
    wire, blind = tools["wire"], tools["blind"]
    assert (wire["semantics"], wire["look_up"], wire["authoritative"]) == ("non_idempotent", True, True)
    assert (blind["look_up"], blind["on_unknown"], tools["book"]["compensable"]) == (False, "ask", True)
    assert tools["mail_wire"]["dispatch"] == "outbox"
    assert Path(wire["file"]) == stage.root / "crew.py"


# --- the scaffold, from another shell -----------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.close()


TYPED = (1, 2, 8, 9, 15)
"""Stops that a command ends; the others are ended by the order that it places."""


def test_the_scaffold_stepped_from_another_shell(project: Project) -> None:
    project.server()
    done = project.tape("step")
    assert (done.returncode, done.stdout) == (0, "the next run stops at the next place\n")
    run = project.start_run()

    def stopped(count: int) -> bool:
        return project.kinds(run).count("point_reached") == count

    for count in range(1, 16):
        wait_until(lambda count=count: stopped(count), f"stop {count}")
        wires = len(project.wires())
        assert wires == (1 if count > 8 else 0), count  # the ninth stop is effect.acted
        if count in TYPED:
            done = project.tape("step")
            assert re.fullmatch(rf"{run} goes on from \S+ and stops at the next place\n", done.stdout), done
        else:
            assert place(load_config(project.folder, {}), Order("step", None, {}, "tester", "")).result["stepped"]
    project.await_status(run, "TERMINAL")
    assert len(project.wires()) == 1
    done = project.tape("step", "--run", run)
    assert (done.returncode, "has ended" in done.stderr) == (1, True)
    assert project.tape("step", "--to", "effect.acted", "--tool", "wire_money").returncode == 0
    again = project.start_run()
    wait_until(lambda: "point_reached" in project.kinds(again), "stopped at effect.acted")
    done = project.tape("kill", "--json")
    assert len(json.loads(done.stdout)["killed"]) == 1
    project.await_status(again, "TERMINAL")
    assert len(project.wires()) == 2
    done = project.tape("step", "--go")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "no run is in step mode\n")
