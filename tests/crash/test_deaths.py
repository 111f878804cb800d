"""Other deaths than SIGKILL: the orderly drain, the freeze and its zombie, the silent worker, the lost reply."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.crash.stage import Stage
from tests.crash.test_points import effect_of

STEPS = [["ask"], ["call", "wire", 1], ["ask"], ["call", "put", 2], ["sleep", 0.05], ["ask"]]
BOUNDARIES = (
    "decision.asking", "decision.replied", "decision.recorded", "effect.begun", "effect.acted", "effect.ended",
    "timer.set", "run.ending", "run.ended",
)  # fmt: skip

Opener = Callable[..., Stage]


def unkilled_tape(stage: Stage, steps: list[list[Any]]) -> list[str]:
    run = stage.run(*steps)
    assert stage.until_rest(run) == "TERMINAL"
    return stage.tape(run)


def driver_of(stage: Stage, run: str) -> int:
    return stage.watch.of("lease_granted", run)[-1].pid


# --- SIGTERM: drain -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", BOUNDARIES)
def test_drain(stage: Stage, point: str) -> None:
    """The boundary is finished, the lease given back, the crash not counted, and nothing lost or done again."""
    whole = unkilled_tape(stage, STEPS)
    stage.arm(point, "TERM")
    run = stage.run(*STEPS)
    assert stage.until_rest(run) == "TERMINAL"
    stage.until_reached(point)
    pid = stage.watch.of("point_reached", point=point)[0].pid
    died = stage.until_event("worker_died", pid=pid)
    assert died.how.startswith("exit 0")
    assert not stage.watch.of("lease_ended", run, status="DIED")
    assert all(granted.crashes == 0 for granted in stage.watch.of("lease_granted", run))
    assert not stage.watch.of("effect_doubted", run)
    assert all(effect_of(stage, run, tool)["attempts"] == 1 for tool in ("wire", "put"))
    assert stage.standing(run) == 2
    assert stage.tape(run) == whole


def test_drain_lets_an_open_body_end(stage: Stage) -> None:
    """A body that is open when the signal comes ends first, and its outcome is recorded under the same lease."""
    stage.arm("at:before-act", "TERM")
    run = stage.run(["ask"], ["call", "blind", 1], ["ask"])
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, "blind")
    assert (effect["status"], effect["resolution"], effect["attempts"]) == ("CONFIRMED", "returned", 1)
    assert stage.standing(run) == 1


def test_drain_of_a_worker_with_hooks(stage: Stage) -> None:
    """A drained worker takes no more runs and no more hooks; the dispatch that it runs ends first."""
    stage.upstreams.bank.set_faults([{"kind": "slow", "delay": "500ms", "count": 1}])
    run = stage.run(["ask"], ["call", "mail_blind", 1], ["ask"])
    started = stage.until_event("attempt_started", run, what="body")
    worker = stage.host.server.peers[started.worker]
    stage.watch.until(lambda: worker.hooks, "the hook is under way", 5)
    os.kill(worker.pid, signal.SIGTERM)
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, "mail_blind")
    assert (effect["status"], effect["attempts"]) == ("CONFIRMED", 1)
    assert stage.standing(run) == 1


def test_drain_by_signal_from_outside(open_stage: Opener) -> None:
    """SIGTERM sent straight to the agent, with several runs in it: each is driven on by another worker."""
    stage = open_stage(concurrency=4)
    runs = [stage.run(*[["ask"], ["call", "put", number]] * 10) for number in range(4)]
    for run in runs:
        stage.until_event("effect_begun", run)
    os.kill(driver_of(stage, runs[0]), signal.SIGTERM)
    for run in runs:
        assert stage.until_rest(run) == "TERMINAL"
        assert stage.standing(run) == 10
    assert all(granted.crashes == 0 for granted in stage.watch.of("lease_granted"))


# --- SIGSTOP: freeze and thaw -------------------------------------------------------------------------------------

FREEZABLE = tuple(point for point in BOUNDARIES if point not in ("timer.set", "run.ended"))


@pytest.mark.parametrize("point", FREEZABLE)
def test_zombie(open_stage: Opener, point: str) -> None:
    """Frozen at a withheld reply, the lease runs out, another worker takes over and ends the run; thawed, the zombie's
    write is refused and kept as evidence, and it lives on to serve other runs."""
    stage = open_stage(ttl="1s")
    whole = unkilled_tape(stage, STEPS)
    stage.arm(point, "STOP")
    run = stage.run(*STEPS)
    reached = stage.until_reached(point)
    assert stage.until_rest(run) == "TERMINAL"
    granted = stage.watch.of("lease_granted", run)
    assert granted[-1].pid != reached.pid
    assert len(stage.watch.of("lease_ended", run, status="EXPIRED")) == 1
    assert stage.tape(run) == whole
    acts = len(stage.acts(run))
    assert stage.order("thaw")["thawed"] == [reached.pid]
    refused = stage.until_event("write_refused", run)
    frozen = [event for event in granted if event.pid == reached.pid][-1]
    assert refused.epoch == frozen.epoch and refused.worker == reached.worker
    stage.watch.until(lambda: not stage.host.server.peers[reached.worker].drives, "the zombie drops the run")
    assert not stage.watch.of("worker_died", worker=reached.worker)
    assert len(stage.acts(run)) == acts == 2
    for other in [stage.run(*STEPS) for _ in range(3)]:
        assert stage.until_rest(other) == "TERMINAL"
    assert not stage.watch.of("conflict_opened")


@pytest.mark.parametrize("tool", ["gamble", "blind"])
def test_zombie_that_contradicts(open_stage: Opener, tool: str) -> None:
    """Frozen with the outcome in its hand; meanwhile the effect ends FAILED, undone or by a person's word. The late
    outcome is not applied: it opens a conflict."""
    stage = open_stage(ttl="1s")
    stage.arm("effect.acted", "STOP")
    run = stage.run(["ask"], ["call", tool, 1], ["ask"])
    if tool == "blind":
        assert stage.until_rest(run) == "STUCK"
        stage.order("resolve", run, key=f"{run}/0/0/blind", how="fail")
    assert stage.until_status(run, "TERMINAL") == "TERMINAL"
    stage.order("thaw")
    conflict = stage.until_event("conflict_opened", run)
    assert conflict.key == f"{run}/0/0/{tool}"
    refused = stage.until_event("write_refused", run)
    assert (refused.write, refused.evidence["status"]) == ("effect_ended", "CONFIRMED")
    assert effect_of(stage, run, tool)["status"] == "FAILED"
    assert stage.standing(run) == (1 if tool == "blind" else 0)


def test_frozen_and_thawed_in_time(open_stage: Opener) -> None:
    """Thawed while its lease is live, it goes on as if nothing had been."""
    stage = open_stage(ttl="20s")
    stage.arm("decision.recorded", "STOP")
    run = stage.run(*STEPS)
    stage.until_reached("decision.recorded")
    stage.until_event("worker_moved", status="FROZEN")
    stage.order("thaw")
    assert stage.until_rest(run) == "TERMINAL"
    assert len(stage.watch.of("lease_granted", run)) <= 2  # the second after the sleep
    assert not stage.watch.of("write_refused")


def test_stopped_worker_is_killed(open_stage: Opener) -> None:
    """A worker that is stopped outside a drill is silent: its lease runs out, it is killed before the next grant."""
    stage = open_stage(ttl="1s")
    run = stage.run(["ask"], ["point", "here"], ["call", "wire", 1], *[["ask"]] * 30)
    stage.until_event("decision", run)
    pid = driver_of(stage, run)
    os.kill(pid, signal.SIGSTOP)
    died = stage.until_event("worker_died", pid=pid)
    assert "lease ran out" in died.how
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.standing(run) == 1


def test_stopped_hook_worker_is_killed(open_stage: Opener) -> None:
    """The same for a worker that runs a hook and has no lease: its silence is seen, and the dispatch is settled."""
    stage = open_stage(ttl="1s")
    stage.upstreams.bank.set_faults([{"kind": "slow", "delay": "300ms", "collection": "mail_wire", "nth": 1}])
    run = stage.run(["ask"], ["call", "mail_wire", 1], ["ask"])
    started = stage.until_event("attempt_started", run, what="body")
    pid = stage.host.server.peers[started.worker].pid
    stage.until_line("bodies.jsonl", what="enter")
    os.kill(pid, signal.SIGSTOP)
    died = stage.until_event("worker_died", pid=pid)
    assert "silent" in died.how
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.standing(run) == len(stage.acts(run)) == 1


def test_silent_event_loop_is_killed(open_stage: Opener) -> None:
    """A heartbeat vouches for the process only: a loop silent for `lease.stall` is a crash (I12)."""
    stage = open_stage(stall="1s", ttl="5s")
    run = stage.run(["ask"], ["call", "wire", 1], ["stall", 60], ["ask"])
    died = stage.until_event("worker_died")
    assert "event loop was silent" in died.how
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.standing(run) == 1
    assert len(stage.watch.of("lease_granted", run)) == 2


def test_busy_loop_is_not_silent(open_stage: Opener) -> None:
    """A loop that always has something to do comes round all the same: no crash."""
    stage = open_stage(stall="1s", ttl="5s")
    run = stage.run(["ask"], ["spin", 1.8], ["call", "wire", 1])
    assert stage.until_rest(run) == "TERMINAL"
    assert len(stage.watch.of("lease_granted", run)) == 1


# --- lost replies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", BOUNDARIES)
def test_lost_reply(stage: Stage, point: str) -> None:
    """The server hangs up after the commit: the agent connects again, re-sends, and nothing happens twice."""
    whole = unkilled_tape(stage, STEPS)
    stage.arm(point, "LOST")
    run = stage.run(*STEPS)
    assert stage.until_rest(run) == "TERMINAL"
    stage.until_reached(point)
    assert not stage.watch.of("worker_died")
    assert not stage.watch.of("effect_doubted", run)
    assert stage.tape(run) == whole
    assert stage.asked(run) == {0: 1, 1: 1, 2: 1}
    assert stage.standing(run) == len(stage.acts(run)) == 2
    after = stage.run(*STEPS)
    assert stage.until_rest(after) == "TERMINAL"


def test_lost_replies_with_several_runs(open_stage: Opener) -> None:
    """The connection of a worker with several runs is lost again and again: drives, ends and hooks that were on their
    way are not forgotten, and the worker goes on to serve."""
    stage = open_stage(concurrency=4, spare=0)
    runs = []
    for turn in range(6):
        for point, nth in (("effect.ended", 1), ("run.ended", 1), ("decision.recorded", 3), ("lease.granted", 3)):
            stage.arm(point, "LOST", nth=nth)
        runs += [stage.run(["ask"], ["call", "put", turn], ["call", "mail_wire", turn], ["ask"]) for _ in range(4)]
    for run in runs:
        assert stage.until_rest(run) == "TERMINAL"
        assert stage.standing(run) == 2


def test_lost_at_any_moment(open_stage: Opener) -> None:
    """The same, without points: the operator's hang-ups hit whatever is under way."""
    stage = open_stage(concurrency=4)
    runs = [stage.run(*[["ask"], ["call", "put", n], ["call", "mail_put", n]] * 4) for n in range(8)]
    left = set(runs)
    hung_up = 0
    while left and hung_up < 400:
        stage.watch.pause(0.02)
        hung_up += len(stage.order("kill", signal="LOST")["killed"])
        left = {run for run in left if stage.status(run) not in ("TERMINAL", "FAILED", "STUCK")}
    for run in runs:
        assert stage.until_rest(run) == "TERMINAL"
        assert stage.standing(run) == 8
    assert not stage.watch.of("worker_died")
