"""A death becomes a scenario: on a real terminal the agent is killed, the run written down, and the file played."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.harness import processes_of, wait_until
from tests.tui.terminal import Terminal
from tests.tui.terminal_stage import Stage, arm, staged, verdict

pytestmark = pytest.mark.slow
PLAY_SECONDS = 120.0


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


def plays_of(stage: Stage) -> list[int]:
    """Living processes of `tape scenario run`."""
    found: list[int] = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                command, where = (place / "cmdline").read_bytes(), os.readlink(place / "cwd")
            except OSError:
                continue
            if b"scenario\0run\0--events" in command and where == str(stage.folder):
                found.append(int(place.name))
    return found


def open_list(console: Terminal) -> None:
    console.keys("p")
    console.wait(lambda text: "─ Scenarios ─" in text and "reading the files" not in text, "the list")


def test_a_killed_run_is_recorded_played_and_holds(stage: Stage) -> None:
    console = stage.console()
    arm(console, "effect.acted")
    run_id = stage.start_run()
    assert "bank saw 1 wire ✓" in verdict(console)
    console.wait_for(lambda: stage.has_ended(run_id), "the run has ended")
    wires, runs = stage.wires(), stage.runs()
    console.keys("W")
    console.wait(lambda text: "- {at: effect.acted}" in text and f"scenarios/{run_id}.yaml" in text, "the dialog")
    console.keys("enter")
    console.wait(f"written: scenarios/{run_id}.yaml; p plays it")
    open_list(console)
    console.wait(lambda text: re.search(rf"· what happened to {run_id}", text), "it is listed")
    console.keys("G")
    console.wait("kills     SIGKILL at effect.acted")
    console.keys("enter")
    console.wait("1 scenario holds ✓", seconds=PLAY_SECONDS)
    assert re.search(r"✓ what happened .* 1 +\d+\.\d│", console.line("✓ what happened"))
    console.wait_for(lambda: not plays_of(stage), "its process is gone")
    console.keys("enter")
    text = console.wait("verdict killed → known")
    assert "✗ SIGKILL at effect.acted" in text and f"Story ✓ what happened to {run_id}" in text
    assert (stage.wires(), len(stage.runs())) == (wires, len(runs)), (
        "journal and ledger of the project are as they were"
    )
    console.keys("escape")
    console.wait("─ Scenarios ─")
    console.keys("escape")
    console.wait("─ x Crash ─")
    console.keys("q")
    assert console.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_play_ends_with_the_console(stage: Stage, number: signal.Signals) -> None:
    file = stage.folder / "scenarios" / "a.yaml"
    file.write_text("name: held for ever\ninput: x\nwithin: 10m\norders:\n  - {on: STUCK, do: redrive}\nkill:\n"
                    "  - {at: effect.begun, signal: STOP}\n")  # fmt: skip
    console = stage.console(size=(80, 24))
    open_list(console)
    console.keys("enter")
    console.wait("▯ 0/1")
    console.wait_for(lambda: plays_of(stage), "it is being played", PLAY_SECONDS)
    console.send(number)
    assert console.end() in (128 + number, -number)
    wait_until(lambda: not plays_of(stage) and not processes_of(stage.folder), "nothing is left")
