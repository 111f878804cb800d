"""A console that lives on: every size, a terminal that stalls, code that is saved, agents that misbehave."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tape.core.kernel.events import LeaseEnded
from tests.dev.harness import processes_of, wait_until
from tests.tui.terminal_stage import LIVE, Stage, arm, run_to, staged, verdict

pytestmark = pytest.mark.slow
OLD, NEW = "The invoice is paid.", "Paid anew."
IMPORT = "import tape\n"
STALL_SECONDS = 6.0


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


def test_every_size_while_a_run_goes_on(stage: Stage) -> None:
    stage.take_steps()
    console = stage.console(size=(80, 24))
    run_id = stage.start_run("60 0.1")
    sizes = ((200, 60), (60, 10), (120, 40), (80, 24), (200, 60), (80, 24), (60, 10), (200, 60))
    for columns, rows in sizes:
        console.resize(columns, rows)
        whole = columns >= 70

        def drawn(text: str, columns: int = columns, rows: int = rows, whole: bool = whole) -> bool:
            lines = text.split("\n")
            crash = any(line.startswith("╭─ x Crash") and len(line) == columns for line in lines)
            keys = bool(lines[rows - 1].strip())
            return crash and keys if whole else f"too small: {columns}x{rows}" in lines[0] and not any(lines[1:])

        console.wait(drawn, f"the screen at {columns}x{rows}")
    console.wait_for(lambda: stage.has_ended(run_id), "the run has ended")
    run = stage.run(run_id)
    assert (run.decisions, run.drive) == (60, 1)
    console.wait("all steps done")


def test_a_size_that_somebody_exported_is_not_believed(stage: Stage) -> None:
    console = stage.open(COLUMNS="80", LINES="24", size=(120, 40))
    console.wait(lambda text: len(text.split("\n")[-2]) == 120, "the last frame is as wide as the terminal")
    console.resize(100, 30)
    console.wait(lambda text: len(text.split("\n")[-2]) == 100, "and after a resize")


def test_a_terminal_that_is_not_read_costs_no_lease(stage: Stage) -> None:
    """More is painted than any buffer on the way holds, and nobody reads: the screen stands, the service does not."""
    stage.take_steps()
    stage.quick_lease()
    console = stage.console(size=(200, 60))
    run_id = stage.start_run("100 0.1")
    console.wait(lambda text: re.search(rf"{run_id} ● RUNNING", text), "the run is driven")
    before, painted = time.monotonic(), len(console.raw)
    console.keys(*("z", "z") * 60)
    wait_until(lambda: time.monotonic() - before > STALL_SECONDS, "nobody has read for so long")
    run = stage.run(run_id)
    assert run.status == "RUNNING", "the run went on for longer than the stall"
    assert run.decisions > 20, "and it did go on"
    console.wait_for(lambda: stage.has_ended(run_id), "the run has ended")
    assert len(console.raw) - painted > 400_000, "there was more to paint than pipes and queues hold"
    run = stage.run(run_id)
    assert (run.decisions, run.drive) == (100, 1)
    leases = [entry.event for entry in stage.entries(run_id) if isinstance(entry.event, LeaseEnded)]
    assert [lease.status for lease in leases] == ["RELEASED"]
    console.wait("all steps done")
    console.keys("6")
    console.wait("l next tab")


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_plain_ascii(stage: Stage, size: tuple[int, int]) -> None:
    console = stage.open("--ascii", size=size)
    console.wait("* live")
    run_id = stage.start_run()
    text = console.wait(lambda text: re.search(rf"{run_id} \+ TERMINAL", text) and console.text())
    assert text.isascii(), sorted({sign for sign in text if not sign.isascii()})
    assert "+- x Crash -" in text


def test_no_colour_is_readable(stage: Stage) -> None:
    console = stage.console(NO_COLOR="1")
    arm(console, "effect.acted")
    stage.start_run()
    verdict(console)
    text = console.wait("✓ TERMINAL")
    assert "[▣acted 1]" in text
    colours = {tuple(rgb) for rgb in re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", bytes(console.raw))}
    assert not {rgb for rgb in colours if len(set(rgb)) > 1}, "greys only"
    assert not re.search(rb"\x1b\[(?:\d+;)*[349][1-6](?:;\d+)*m", re.sub(rb"[34]8;2;\d+;\d+;\d+", b"", console.raw))


TELLS = """
    import os, sys
    here = f"stdin={os.readlink('/proc/self/fd/0')} leads={os.getsid(0) == os.getpid()}"
    try:
        open("/dev/tty")
        here += " tty"
    except OSError:
        here += " no-tty"
    print(here, "\\x1b[31m\\x1b[2J[/bold]\\x07 loud", flush=True)

    plan = await"""


def test_an_agent_has_no_terminal_and_what_it_prints_is_made_safe(stage: Stage) -> None:
    stage.edit("app/agent.py", ("\n    plan = await", TELLS))
    console = stage.console(size=(200, 60))
    console.keys("6", "z")
    run_id = stage.start_run()
    console.wait_for(lambda: stage.has_ended(run_id), "the run has ended")
    console.wait("loud")
    line = console.line("loud")
    assert "stdin=/dev/null leads=True no-tty" in line
    assert re.search(r"no-tty \S*\[31m\S*\[2J\[/bold\]\S* loud", line), line
    assert LIVE in console.text(), "the screen was not cleared"
    assert b"\x1b[2J[/bold]" not in console.raw


def test_saved_code_is_used_by_the_next_run(stage: Stage) -> None:
    console = stage.console()
    first = stage.start_run()
    console.wait(lambda text: f"{first} ✓ TERMINAL" in text and "The invoice is" in text)
    before = stage.agents()
    stage.edit("app/agent.py", (OLD, NEW))
    console.wait("app/agent.py changed")
    console.wait_for(lambda: stage.agents() and not stage.agents() & before, "new agents", 30)
    second = stage.start_run()
    console.wait(lambda text: f"2 Tape {second}" in text and NEW in text)
    assert stage.run(first).drive == stage.run(second).drive == 1


def test_saved_code_takes_over_a_run_in_flight(stage: Stage) -> None:
    console = stage.console()
    run_id = run_to(stage, console, "effect.ended")
    stage.edit("app/agent.py", (OLD, NEW))
    console.wait("app/agent.py changed")
    console.wait_for(lambda: stage.has_ended(run_id), "the run has ended on the new code")
    console.wait(NEW)
    assert len(stage.wires()) == 1


def test_an_agent_that_cannot_be_imported_is_told_and_mended(stage: Stage) -> None:
    stage.edit("app/agent.py", (IMPORT, IMPORT + "def (\n"))
    console = stage.open(size=(200, 60))
    console.wait(lambda text: "app/agent.py:9" in text.split("\n")[0], "the strip says where")
    assert "SyntaxError" in console.screen()[0]
    run_id = stage.start_run()
    console.wait(f"{run_id} ○ RUNNABLE")
    stage.edit("app/agent.py", ("def (\n", ""))
    console.wait(f"{run_id} ✓ TERMINAL")
    console.wait(lambda text: LIVE in text.split("\n")[0], "the strip is well again")
    stage.edit("app/agent.py", (IMPORT, IMPORT + "import numpyx\n"))
    console.wait(lambda text: "numpyx" in text.split("\n")[0], "broken again")
    stage.edit("app/agent.py", ("import numpyx\n", ""))
    console.wait(lambda text: LIVE in text.split("\n")[0], "well again")


def test_a_child_that_a_tool_has_left_ends_with_the_console(stage: Stage) -> None:
    """It has a session of its own, so no signal to the agent's group meets it."""
    child = '\n    import subprocess\n    subprocess.Popen(["sleep", "300"], start_new_session=True)\n'
    stage.edit("app/agent.py", ("\n    wire = bank(", child + "\n    wire = bank("))
    console = stage.console()
    run_id = stage.start_run()
    console.wait_for(lambda: stage.has_ended(run_id), "the run has ended")
    assert any("sleep 300" in command for command in processes_of(stage.folder).values())
    console.keys("ctrl+q")
    assert console.end() == 0
    assert not processes_of(stage.folder)
