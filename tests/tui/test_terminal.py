"""Deaths that a person at the console brings about: a real terminal, a real service, real agents, the bank's ledger."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tape.core.kernel.events import LeaseEnded, PointReached, RunStarted, WorkerDied
from tests.tui.terminal import Terminal
from tests.tui.terminal_stage import Stage, arm, choose_death, click_point, run_to, staged, stop_shown, verdict

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


def paid_once(stage: Stage, console: Terminal, run_id: str, drives: int) -> None:
    """The run has ended well on this drive, and the bank has one wire of it."""
    console.wait_for(lambda: stage.has_ended(run_id), f"{run_id} is TERMINAL")
    run = stage.run(run_id)
    assert (run.decisions, run.effects, run.drive) == (3, 1, drives)
    assert stage.wires().count(f"{run_id}/1/0/wire_money") == 1
    console.wait(lambda text: re.search(rf"{run_id} ✓ TERMINAL", text), "the end on screen")


def test_the_first_start_teaches(stage: Stage) -> None:
    console = stage.console()
    text = console.wait("no runs yet")
    for title in ("1 Runs", "2 Tape", "3 Effects", "4 Reactors", "5 Leases, processes", "6 Log", "x Crash"):
        assert title in text
    assert "nobody has died in this run yet" in text


def test_r_triggers_what_is_typed_and_capital_r_the_same_again(stage: Stage) -> None:
    console = stage.console()
    arm(console, "effect.acted")
    console.keys("r")
    console.wait("Run treasury")
    console.keys(*"pay invoice [b]9[/", "enter")
    console.wait("started")
    assert "observed" in verdict(console)
    (first,) = stage.runs()
    paid_once(stage, console, first.id, drives=2)
    started = stage.entries(first.id)[0].event
    assert isinstance(started, RunStarted)
    assert started.input == "pay invoice [b]9[/"
    console.keys("R")
    console.wait("started, to die at effect.acted")
    console.wait_for(lambda: len(stage.runs()) == 2, "the second run")
    second = next(run for run in stage.runs() if run.id != first.id)
    paid_once(stage, console, second.id, drives=2)
    console.wait(f"2 Tape {second.id}")
    assert "observed" in verdict(console)
    assert len(stage.wires()) == 2


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ("decision.asking", "nothing was open"),
        ("effect.begun", "absent"),
        ("effect.acted", "observed"),
        ("effect.ended", "nothing was open"),
    ],
)
def test_a_death_armed_at_a_point(stage: Stage, point: str, told: str) -> None:
    console = stage.console()
    arm(console, point)
    run_id = stage.start_run()
    console.wait(f"✗ SIGKILL at {point}")
    assert told in verdict(console)
    paid_once(stage, console, run_id, drives=2)
    (reached,) = (entry.event for entry in stage.entries(run_id) if isinstance(entry.event, PointReached))
    assert (reached.point, str(reached.death)) == (point, "KILL")
    assert reached.pid not in stage.agents()


def test_kill_at_every_stop_of_a_run(stage: Stage) -> None:
    """Step mode: the first run is killed where it stops first, the next one a stop later, and so on to the end."""
    console = stage.console()
    console.keys("x")
    killed_at: list[str] = []
    while True:
        console.keys("n")
        console.wait("the next run stops at its next boundary")
        run_id = stage.start_run()
        console.wait(f"2 Tape {run_id}")
        place = stop_shown(console)
        for _ in killed_at:
            console.keys("n")
            place = stop_shown(console, other_than=place)
        console.keys("K")
        if place == "run.ended":
            break
        verdict(console)
        paid_once(stage, console, run_id, drives=2)
        killed_at.append(place)
    turn = ["decision.asking", "decision.replied", "decision.recorded"]
    effect = ["effect.begun", "effect.acted", "effect.ended"]
    assert killed_at == ["lease.granted", *turn, *turn, *effect, *turn, "run.ending"]


def test_a_lost_reply_kills_nobody(stage: Stage) -> None:
    console = stage.console()
    before = stage.agents()
    choose_death(console, "lost reply")
    arm(console, "effect.ended")
    run_id = stage.start_run()
    assert "reply lost → sent again, same answer" in verdict(console)
    paid_once(stage, console, run_id, drives=1)
    assert before <= stage.agents()


def test_a_zombie_is_refused(stage: Stage) -> None:
    stage.quick_lease()
    console = stage.console()
    choose_death(console, "SIGSTOP")
    arm(console, "decision.recorded")
    run_id = stage.start_run()
    console.wait("frozen")
    paid_once(stage, console, run_id, drives=2)
    (frozen,) = (entry.event for entry in stage.entries(run_id) if isinstance(entry.event, PointReached))
    assert frozen.pid in stage.agents()
    console.keys("T")
    console.wait("write_refused")
    assert stage.wires() == [f"{run_id}/1/0/wire_money"]
    assert stage.run(run_id).status == "TERMINAL"


def test_run_to_a_point_and_on(stage: Stage) -> None:
    console = stage.console()
    run_id = run_to(stage, console, "effect.acted")
    assert stage.wires() == [f"{run_id}/1/0/wire_money"]
    assert stage.run(run_id).status == "RUNNING"
    console.keys("c")
    paid_once(stage, console, run_id, drives=1)


def test_ctrl_c_twice_kills_the_agent_and_never_quits(stage: Stage) -> None:
    console = stage.console()
    run_id = run_to(stage, console, "effect.acted")
    console.keys("ctrl+c")
    console.wait("Ctrl-C once more kills the agent")
    assert stage.run(run_id).status == "RUNNING"
    console.keys("ctrl+c")
    paid_once(stage, console, run_id, drives=2)
    console.keys("ctrl+c")
    console.wait("Ctrl-C once more kills the agent")
    console.keys("ctrl+c")
    console.wait("nothing to kill")
    assert console.process.poll() is None


def test_the_mouse_arms_and_kills(stage: Stage) -> None:
    console = stage.console()
    click_point(console, "[recorded]")
    console.wait("decision.recorded armed")
    console.wait("[▣recorded]")
    console.click("[▣recorded]")
    console.wait("[▣1 recorded]")
    console.click("[▣1 recorded]")
    console.wait("decision.recorded is disarmed")
    run_id = run_to(stage, console, "effect.begun")
    console.click("KILL now")
    verdict(console)
    paid_once(stage, console, run_id, drives=2)
    ends = [entry.event for entry in stage.entries(run_id) if isinstance(entry.event, LeaseEnded)]
    assert [end.status for end in ends] == ["DIED", "RELEASED"]


def test_an_agent_that_a_stranger_kills_is_told(stage: Stage) -> None:
    """Nothing is armed: the death comes from outside, the console says who died and what became of the run."""
    stage.hold_at("acted")
    console = stage.console()
    run_id = stage.start_run()
    place = stage.folder / "at-acted"
    console.wait_for(lambda: place.exists() and place.read_text(), "the agent stands in its tool")
    pid = int(place.read_text())
    os.kill(pid, signal.SIGKILL)
    stage.go_on("acted")
    paid_once(stage, console, run_id, drives=2)
    verdict(console)
    assert str(pid) in console.line("SIGKILL")
    assert not [e for e in stage.entries(run_id) if isinstance(e.event, WorkerDied) and e.event.pid != pid]
