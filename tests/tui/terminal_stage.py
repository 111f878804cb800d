"""What the stories in a terminal share: a project of its own for each, its consoles, and its agents as processes."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tape.core.journal.views import open_reader
from tape.core.kernel.events import Entry
from tape.tui.crash_rows import LABELS
from tests.dev.harness import TAPE, Project, processes_of, wait_until
from tests.tui.terminal import Terminal

LIVE = "● live"
QUICK_LEASE = ("{ttl: 15s, heartbeat: 5s, stall: 60s}", "{ttl: 1500ms, heartbeat: 300ms, stall: 60s}")
STEPS = """
import asyncio
import tape


@tape.model()
def ask(number: int) -> int:
    return number


@tape.agent
async def treasury(run: tape.Run, task: str) -> str:
    count, pause = task.split()
    for number in range(int(count)):
        await run.decide(ask, number)
        await asyncio.sleep(float(pause))
    return "all steps done"
"""
"""An agent that takes "COUNT PAUSE" as its input: so many decisions, so many seconds apart."""


_POINTS = list(LABELS)
_WHOLE_VERDICT = re.compile(r"verdict ((?:(?!verdict ).)*(?:→ seq \d+|same answer[^;]*); bank saw 1 \w+ ✓)")


def choose(console: Terminal, point: str) -> None:
    """Moves the crash pane's cursor to a point, by keys."""
    console.keys("x")
    now = re.search(r"expect +(\S+):", console.wait("expect "))
    assert now is not None
    console.keys(*["right"] * ((_POINTS.index(point) - _POINTS.index(now[1])) % len(_POINTS)))
    console.wait(f"expect  {point}:")


def arm(console: Terminal, point: str) -> None:
    """Armed for each run that passes, by keys."""
    choose(console, point)
    console.keys("space")
    console.wait(f"{point} armed: ")


def click_point(console: Terminal, button: str) -> None:
    """A click on a button of the crash pane, which takes its place when the agent has told what its tools declare."""
    console.wait("the bank has acted")
    console.click(button)


def choose_death(console: Terminal, name: str) -> None:
    console.keys("x")
    console.wait("X SIG")
    for _ in range(4):
        if f"X {name}" in console.line("x Crash"):
            return
        before = console.line("x Crash")
        console.keys("X")
        console.wait(lambda text, before=before: before not in text)
    raise AssertionError(f"no death is called {name}")


def run_to(stage: Stage, console: Terminal, point: str) -> str:
    """A run that stands at `point`, stopped by the key for it."""
    choose(console, point)
    console.keys("t")
    console.wait(f"stops when it passes {point}")
    run_id = stage.start_run()
    assert stop_shown(console) == point
    return run_id


def verdict(console: Terminal) -> str:
    """The verdict that holds, once it is there; it may take more than one line."""

    def told(text: str) -> str:
        found = _WHOLE_VERDICT.search(re.sub(r"[│\s]+", " ", text))
        return found[1] if found else ""

    return told(console.wait(told, "a verdict that holds"))


def stop_shown(console: Terminal, other_than: str = "") -> str:
    """The name of the point where the selected run stands, once it is another one."""

    def place(text: str) -> str:
        found = re.search(r"◆ stopped +at (\S+?):? ", text)
        return found[1] if found and found[1] != other_than else ""

    return place(console.wait(place, f"a stop other than {other_than!r}"))


class Stage(Project):
    """A fresh project whose consoles run in pseudo-terminals; home and settings are in the test's own folder."""

    def __init__(self, parent: Path) -> None:
        home = parent / "home"
        home.mkdir()
        names = {"XDG_CONFIG_HOME": ".config", "XDG_STATE_HOME": ".state", "XDG_DATA_HOME": ".data"}
        folders = {name: str(home / place) for name, place in names.items()}
        super().__init__(
            parent, environment={"HOME": str(home), "LANG": "C.UTF-8", "TEXTUAL_ANIMATIONS": "none", **folders}
        )
        for name in ("NO_COLOR", "TERM", "COLUMNS", "LINES"):
            self.environment.pop(name, None)
        self.terminals: list[Terminal] = []

    def open(self, *arguments: str, size: tuple[int, int] = (120, 40), **more: str) -> Terminal:
        """`tape dev` on a terminal, at once."""
        terminal = Terminal([*TAPE, "dev", *arguments], self.folder, {**self.environment, **more}, size)
        self.terminals.append(terminal)
        return terminal

    def console(self, *arguments: str, size: tuple[int, int] = (120, 40), **more: str) -> Terminal:
        """`tape dev` with its service up and an agent ready."""
        terminal = self.open(*arguments, size=size, **more)
        terminal.wait(lambda text: LIVE in text and ("agents 0+" not in text or "agents 0+0" not in text))
        terminal.wait_for(lambda: self.agents(), "an agent process lives")
        return terminal

    def take_steps(self) -> None:
        """The agent becomes the one of `STEPS`."""
        self.agent_file.write_text(STEPS, "utf-8")

    def quick_lease(self) -> None:
        self.edit("tape.yaml", QUICK_LEASE)

    def agents(self) -> set[int]:
        return {pid for pid, command in processes_of(self.folder).items() if "tape.core.agent" in command}

    def entries(self, run_id: str) -> list[Entry]:
        with open_reader(self.folder / ".tape" / "dev.db") as reader:
            return [*reader.entries(run_id=run_id)]

    def has_ended(self, run_id: str, status: str = "TERMINAL") -> bool:
        return any(run.id == run_id and run.status == status for run in self.runs())

    def close(self) -> None:
        for terminal in self.terminals:
            terminal.close()
        super().close()


@contextmanager
def staged(parent: Path) -> Iterator[Stage]:
    """A stage that leaves no process behind, whatever happens on it."""
    stage = Stage(parent)
    try:
        yield stage
    finally:
        stage.close()
        for pid in processes_of(stage.folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not processes_of(stage.folder), f"no process is left: {processes_of(stage.folder)}", 10)
