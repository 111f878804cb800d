"""How the console ends, and how it does not start: the terminal as it was, true exit codes, nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tape.core.kernel.events import LeaseEnded
from tests.dev.harness import TAPE, processes_of, wait_until
from tests.tui.terminal import ALTERNATE, CURSOR, FOCUS, MOUSE, PASTE, Terminal
from tests.tui.terminal_stage import Stage, click_point, run_to, staged, verdict

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


def given_back(console: Terminal) -> None:
    """Every mode that was set has been reset, and the last bytes leave nothing coloured."""
    assert console.modes[ALTERNATE] is False
    assert console.modes[CURSOR] is True
    assert [console.modes[mode] for mode in MOUSE] == [False] * len(MOUSE)
    assert console.modes[PASTE] is False
    assert console.modes[FOCUS] is False
    assert b"\x1b[<u" in console.raw or b"\x1b[>1u" not in console.raw, "the keyboard's protocol"


def taken_up_by_the_next_start(stage: Stage, run_id: str) -> None:
    assert not processes_of(stage.folder)
    assert stage.run(run_id).status == "RUNNING" or stage.run(run_id).status in ("RUNNABLE", "WAITING")
    console = stage.console()
    console.wait_for(lambda: stage.has_ended(run_id), f"{run_id} is TERMINAL")
    assert stage.run(run_id).drive == 2
    assert stage.wires() == [f"{run_id}/1/0/wire_money"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(stage: Stage, number: signal.Signals) -> None:
    console = stage.console()
    assert all(console.modes[mode] for mode in (ALTERNATE, PASTE, *MOUSE))
    assert console.modes[CURSOR] is False
    run_id = run_to(stage, console, "effect.acted")
    console.send(number)
    assert console.end() == 128 + number
    given_back(console)
    assert console.last_words == []
    taken_up_by_the_next_start(stage, run_id)


def test_a_closed_window_ends_everything_in_order(stage: Stage) -> None:
    console = stage.console()
    run_id = run_to(stage, console, "effect.acted")
    console.hang_up()
    assert console.process.wait(30) == 128 + signal.SIGHUP
    wait_until(lambda: not processes_of(stage.folder), "no agent is left")
    taken_up_by_the_next_start(stage, run_id)


def test_a_killed_console_is_taken_up_by_the_next_start(stage: Stage) -> None:
    console = stage.console()
    run_id = run_to(stage, console, "effect.acted")
    console.send(signal.SIGKILL)
    console.end()
    wait_until(lambda: not processes_of(stage.folder), "no agent is left")
    taken_up_by_the_next_start(stage, run_id)


def test_a_signal_during_the_start(stage: Stage) -> None:
    """The screen is there, the service is on its way."""
    console = stage.open()
    console.wait("1 Runs")
    console.send(signal.SIGTERM)
    assert console.end() == 143
    given_back(console)
    assert not processes_of(stage.folder)


def test_ctrl_q_quits_at_once(stage: Stage) -> None:
    console = stage.console()
    run_id = run_to(stage, console, "effect.begun")
    console.keys("ctrl+q")
    assert console.end() == 0
    given_back(console)
    assert console.last_words == []
    taken_up_by_the_next_start(stage, run_id)


def test_q_asks_when_an_agent_lives_and_stays(stage: Stage) -> None:
    console = stage.console()
    run_id = run_to(stage, console, "effect.begun")
    console.keys("q")
    console.wait("╭─ Quit ")
    console.keys("enter")
    console.wait(lambda text: "╭─ Quit " not in text)
    assert stage.run(run_id).status == "RUNNING"
    console.keys("c")
    console.wait(f"{run_id} ✓ TERMINAL")
    console.keys("q")
    assert console.end() == 0
    given_back(console)


def test_q_drains(stage: Stage) -> None:
    """The agent gives its lease back: nobody has died, and the next start goes on from there."""
    stage.take_steps()
    console = stage.console()
    run_id = stage.start_run("200 0.1")
    console.wait(f"{run_id} ● RUNNING")
    console.keys("q")
    console.wait("╭─ Quit ")
    console.keys("right")
    console.wait("● drain")
    console.keys("enter")
    assert console.end() == 0
    given_back(console)
    assert not processes_of(stage.folder)
    run = stage.run(run_id)
    assert (run.status, run.drive) == ("RUNNABLE", 1)
    assert 0 < run.decisions < 200
    console = stage.console()
    console.wait_for(lambda: stage.has_ended(run_id), "the run has ended")
    run = stage.run(run_id)
    assert (run.decisions, run.drive, run.crashes) == (200, 2, 0)
    leases = [entry.event for entry in stage.entries(run_id) if isinstance(entry.event, LeaseEnded)]
    assert [lease.status for lease in leases] == ["RELEASED", "RELEASED"]


def test_q_kills_when_the_word_is_typed(stage: Stage) -> None:
    console = stage.console()
    run_id = run_to(stage, console, "effect.acted")
    console.keys("q")
    console.wait("╭─ Quit ")
    console.keys("right", "right")
    console.wait("to confirm")
    console.keys("enter", "enter")
    console.wait("only the word kill confirms")
    console.keys(*"kill", "enter")
    assert console.end() == 0
    given_back(console)
    taken_up_by_the_next_start(stage, run_id)


def test_what_was_armed_is_armed_again_after_a_restart(stage: Stage) -> None:
    console = stage.console()
    click_point(console, "[acted]")
    console.wait("[▣acted]")
    console.keys("ctrl+q")
    assert console.end() == 0
    console = stage.console()
    console.wait("[▣acted]")
    run_id = stage.start_run()
    assert "observed" in verdict(console)
    console.keys("ctrl+q")
    assert console.end() == 0
    console = stage.console("--fresh")
    console.wait(run_id)
    assert "▣" not in console.text()


def one_line_of(words: list[str]) -> str:
    (line,) = words
    assert line.startswith("tape: "), line
    return line


def test_a_second_console_is_refused_in_one_line(stage: Stage) -> None:
    first = stage.console()
    second = stage.open()
    assert second.end() == 3
    line = one_line_of(second.last_words)
    assert f"another server (pid {first.pid}) holds" in line
    assert b"\x1b[?1049h" not in second.raw
    assert first.process.poll() is None


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
def test_without_a_terminal_it_says_what_to_add(stage: Stage, term: str) -> None:
    done = stage.tape("dev", TERM=term)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "add --headless" in one_line_of(done.stderr.splitlines())


def test_a_dumb_terminal_gets_no_screen(stage: Stage) -> None:
    console = stage.open(TERM="dumb")
    assert console.end() == 2
    assert "add --headless" in one_line_of(console.last_words)
    assert b"\x1b" not in console.raw


def test_half_a_terminal_is_none(stage: Stage) -> None:
    """`tape dev 2>file`: nothing is painted into the file."""
    master, slave = os.openpty()
    try:
        done = subprocess.run(
            [*TAPE, "dev"], cwd=stage.folder, env=stage.environment, stdin=slave, stdout=slave,
            stderr=subprocess.PIPE, text=True, timeout=30, check=False,
        )  # fmt: skip
    finally:
        os.close(slave)
        os.close(master)
    assert done.returncode == 2
    assert "add --headless" in one_line_of(done.stderr.splitlines())


def test_a_wrong_tape_yaml_is_one_line_and_no_screen(stage: Stage) -> None:
    stage.edit("tape.yaml", ("workers: 1 ", "wokers: 1 "))
    console = stage.open()
    assert console.end() == 2
    assert "wokers" in one_line_of(console.last_words)
    assert b"\x1b[?1049h" not in console.raw
