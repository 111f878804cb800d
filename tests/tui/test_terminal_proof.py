"""A proof that a person at the console starts: a real terminal, the real `tape prove`, its journals, and its ends."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.harness import processes_of, wait_until
from tests.tui.terminal import Terminal
from tests.tui.terminal_stage import Stage, staged

pytestmark = pytest.mark.slow
PROOF_SECONDS = 180.0
PROGRESS = re.compile(r"─ Prove treasury ─+ [▮▯]{10} \d+/\d+.* left ─╮")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


def begin(stage: Stage, size: tuple[int, int] = (120, 40)) -> Terminal:
    """A console in which the proof of the demo's agent is under way, with its first cells."""
    console = stage.console(size=size)
    console.keys("a")
    console.wait(lambda text: re.search(r"input +\* text", text), "the question, with what the agent takes")
    console.keys(*"pay invoice 7", "enter", "enter")
    console.wait("enter alone begins nothing")
    console.keys("\x13")
    console.wait(lambda text: PROGRESS.search(text), "a first cell", PROOF_SECONDS)
    return console


def leave(console: Terminal) -> None:
    """From the matrix to the end."""
    console.keys("escape")
    console.wait("─ x Crash ─")
    console.keys("q")
    assert console.end() == 0


def proofs_of(stage: Stage) -> list[int]:
    """Living processes of `tape prove`."""
    found: list[int] = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                command, where = (place / "cmdline").read_bytes(), os.readlink(place / "cwd")
            except OSError:
                continue
            if b"--events" in command and where == str(stage.folder):
                found.append(int(place.name))
    return found


def test_every_cell_of_the_demo_holds_and_tells_its_story(stage: Stage) -> None:
    console = begin(stage)
    console.keys("escape")
    console.wait(lambda text: re.search(r"x Crash ─.* proving \d+/\d+", text), "it goes on", PROOF_SECONDS)
    assert stage.runs() == [], "the project's own journal is not touched"
    text = console.wait(lambda text: re.search(r"x Crash ─.* proved (\d+)/\1 ✓", text), "all hold", PROOF_SECONDS)
    console.wait_for(lambda: not proofs_of(stage), "its process is gone")
    console.keys("a")
    console.wait(lambda text: "▸ lease.granted" in text and "proved" in text, "the matrix")
    assert console.line("effect.acted 1/wire_money").count("✓") == 4
    console.keys(*"jjjjjjjj")
    console.wait("─ effect.acted 1/wire_money KILL ─")
    console.keys("enter")
    text = console.wait("verdict killed → known")
    assert re.search(r"observed .* re-driven .*; bank saw 1 wire ✓", text)
    assert "✗ SIGKILL at effect.acted" in text
    console.keys("escape")
    console.wait("─ effect.acted 1/wire_money KILL ─")
    leave(console)
    assert stage.wires() == [], "nor is its ledger"


def test_x_stops_it(stage: Stage) -> None:
    console = begin(stage, (80, 24))
    console.keys("x")
    console.wait("proof stopped at ")
    console.wait_for(lambda: not proofs_of(stage), "it is gone")
    leave(console)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_it_ends_with_the_console(stage: Stage, number: signal.Signals) -> None:
    console = begin(stage)
    assert proofs_of(stage)
    console.send(number)
    assert console.end() in (128 + number, -number)
    wait_until(lambda: not proofs_of(stage) and not processes_of(stage.folder), "nothing is left")
