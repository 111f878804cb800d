"""The console as a person has it: the real process on a pseudo-terminal, which tells where each repaint ends."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psutil

from tape.core.scaffold.scaffold import create_project
from tests.bench.figures import Figure, median
from tests.dev.harness import TAPE, clean_environment
from tests.journal.big import build
from tests.tui.terminal import Terminal

SIZE = (120, 40)
WHOLE = (b"1 Runs", b"2 Tape", b"6 Log", b"x Crash", b"palette")
PACED = '''
"""Takes "COUNT PAUSE": so many decisions, one every so many seconds, whatever the machine does in between."""

import asyncio
import time

import tape


@tape.model()
def ask(number: int) -> int:
    return number


@tape.agent
async def treasury(run: tape.Run, task: str) -> str:
    count, pause = task.split()
    begun = time.monotonic()
    for number in range(int(count)):
        await run.decide(ask, number)
        await asyncio.sleep(max(0.0, begun + number * float(pause) - time.monotonic()))
    return "done"
'''
ENTRIES_PER_DECISION = 3
RUNS_AT_ONCE = 4
_STYLE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


def console_figures(folder: Path, *, quick: bool) -> list[Figure]:
    runs = 2_000 if quick else 100_000
    return [
        first_paint_figure(folder / "paint", rounds=2 if quick else 5),
        commit_figure(folder / "commit", steps=8 if quick else 60),
        *big_figures(folder / "big", runs=runs, moves=6 if quick else 60, idle_seconds=2.0 if quick else 10.0),
    ]


def project_in(folder: Path) -> Path:
    folder.mkdir()
    project = create_project("treasury", folder)
    (project / "app" / "agent.py").write_text(PACED, "utf-8")
    return project


def environment() -> dict[str, str]:
    dropped = ("COLUMNS", "LINES", "NO_COLOR", "TERM")
    return {name: value for name, value in clean_environment(LANG="C.UTF-8").items() if name not in dropped}


@contextmanager
def console(project: Path) -> Iterator[Terminal]:
    """A console that is live, and from then on remembers its frames instead of drawing them."""
    terminal = Terminal([*TAPE, "dev", "--fresh"], project, environment(), SIZE)
    try:
        terminal.wait("● live", seconds=120)
        terminal.wait_for(lambda: b"spare" in terminal.raw, "an agent is ready", 60)
        terminal.draws, terminal.keep_frames = False, True
        yield terminal
        terminal.keys("ctrl+q")
        terminal.end()
    finally:
        terminal.close()


def read_for(terminal: Terminal, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        terminal.read(left)


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


# --- the start ----------------------------------------------------------------------------------------------------


def first_paint_figure(folder: Path, rounds: int) -> Figure:
    project = project_in(folder)
    with console(project):  # byte code is written, the journal is there
        pass
    taken = [first_paint(project) for _ in range(rounds)]
    note = f"worst {max(taken):.0f} ms; every pane framed, the line of keys at the bottom"
    return Figure("console, spawn to first whole screen, p50", median(taken), limit=800, rounds=rounds, note=note)


def first_paint(project: Path) -> float:
    terminal = Terminal([*TAPE, "dev"], project, environment(), SIZE)
    terminal.draws = False

    def whole() -> bool:
        shown = _STYLE.sub(b"", bytes(terminal.raw))
        return all(part in shown for part in WHOLE)

    try:
        while not whole():
            terminal.wait_for(lambda: terminal.read(0.25), "something is painted")
        taken = (time.monotonic() - terminal.began) * 1000
        terminal.draws = True
        terminal.wait_for(lambda: b"live" in terminal.raw, "the service is up")
        terminal.keys("ctrl+q")
        terminal.end()
    finally:
        terminal.close()
    return taken


# --- from a commit to the screen ------------------------------------------------------------------------------------


def commit_figure(folder: Path, steps: int) -> Figure:
    """From the time on the entry, which is taken as its commit begins, to the end of the frame that shows it."""
    project = project_in(folder)
    with console(project) as terminal:
        wall = time.time() - time.monotonic()
        run_id = start_run(project, terminal, f"{steps} 0.2173")
        terminal.wait_for(lambda: ended(project, run_id), "the run has ended", 120)
        read_for(terminal, 0.5)
    journal = project / ".tape" / "dev.db"
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as reader:
        rows = reader.execute("SELECT at_us FROM entry WHERE kind = 'decision' ORDER BY id").fetchall()
    taken: list[float] = []
    for number, (at_us,) in enumerate(rows):
        seen = re.compile(rb"decision %d  " % number)
        frame = next((frame for frame in terminal.frames if seen.search(_STYLE.sub(b"", frame.data))), None)
        if frame is not None:
            taken.append((frame.at + wall) * 1000 - at_us / 1000)
    assert len(taken) > len(rows) * 0.8, f"{len(taken)} of {len(rows)} decisions were seen"
    note = f"p95 {quantile(taken, 0.95):.0f} ms over {len(taken)} decisions of a real agent"
    return Figure("console, commit to screen, p50", median(taken), limit=60, rounds=len(taken), note=note)


def start_run(project: Path, terminal: Terminal, task: str) -> str:
    """By a second process, while the terminal goes on being read."""
    (before,) = query(project, "SELECT count(*) FROM run")[0]
    starter = subprocess.Popen(
        [*TAPE, "run", "--input", f'"{task}"'], cwd=project, env=environment(), stdout=subprocess.DEVNULL
    )
    terminal.wait_for(lambda: starter.poll() is not None, "the run is started", 60)
    ((run_id, number),) = query(project, "SELECT id, (SELECT count(*) FROM run) FROM run ORDER BY no DESC LIMIT 1")
    assert number == before + 1
    return run_id


def ended(project: Path, run_id: str) -> bool:
    return query(project, f"SELECT status FROM run WHERE id = '{run_id}'")[0][0] == "TERMINAL"


def query(project: Path, sql: str) -> list[tuple]:
    journal = project / ".tape" / "dev.db"
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as reader:
        return reader.execute(sql).fetchall()


# --- a big journal --------------------------------------------------------------------------------------------------


def big_figures(folder: Path, runs: int, moves: int, idle_seconds: float) -> list[Figure]:
    project = project_in(folder)
    configuration = project / "tape.yaml"
    text = configuration.read_text("utf-8")
    assert "concurrency: 1 " in text
    configuration.write_text(text.replace("concurrency: 1 ", f"concurrency: {RUNS_AT_ONCE} "), "utf-8")
    (project / ".tape").mkdir(mode=0o700, exist_ok=True)
    build(project / ".tape" / "dev.db", runs, open_every=10 * runs)
    with console(project) as terminal:
        process = psutil.Process(terminal.pid)
        terminal.keys("1")
        read_for(terminal, 1.0)
        before = sum(process.cpu_times()[:2])
        begun = time.monotonic()
        read_for(terminal, idle_seconds)
        idle = 100 * (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - begun)
        calm = key_to_paint(terminal, runs, moves)
        last = query(project, "SELECT max(id) FROM entry")[0][0]
        for _ in range(RUNS_AT_ONCE):
            start_run(project, terminal, f"100000 {RUNS_AT_ONCE * ENTRIES_PER_DECISION / 500}")
        terminal.wait_for(lambda: query(project, "SELECT max(id) FROM entry")[0][0] > last + 500, "entries arrive")
        begun, first = time.monotonic(), query(project, "SELECT max(id) FROM entry")[0][0]
        loaded = key_to_paint(terminal, runs + RUNS_AT_ONCE, moves)
        rate = (query(project, "SELECT max(id) FROM entry")[0][0] - first) / (time.monotonic() - begun)
        memory = process.memory_info().rss / 1_000_000
    shutil.rmtree(folder)
    size = f"{runs:,} runs"
    return [
        key_figure(f"console, key to screen, {size}, p95", calm, 33, ""),
        key_figure("console, key to screen, 500 entries/s arriving, p95", loaded, 50, f"{rate:.0f} entries/s; "),
        Figure("console, processor when idle", idle, limit=3, unit="%", rounds=1, note=f"{idle_seconds:g} s, {size}"),
        Figure(f"console, memory, {size}", memory, limit=150, unit="MB", rounds=1, note="resident, at the end"),
    ]


def key_figure(name: str, taken: list[float], limit: float, extra: str) -> Figure:
    note = (
        f"{extra}p50 {median(taken):.0f} ms, worst {max(taken):.0f} ms; j, page down, End and Home in the list of runs"
    )
    return Figure(name, quantile(taken, 0.95), limit=limit, rounds=len(taken), note=note)


def key_to_paint(terminal: Terminal, runs: int, moves: int) -> list[float]:
    """Milliseconds from each key to the end of the frame that shows the cursor at its new place."""
    place = re.compile(rb"(\d+)/%d " % runs)
    keys = ["j"] * moves + ["pagedown"] * (moves // 2) + ["end", "home"] * max(1, moves // 6)
    taken: list[float] = []
    now = b""
    for key in ["end", "home", *keys]:
        terminal.frames.clear()
        begun = time.monotonic()
        terminal.keys(key)
        frame_at, now = moved(terminal, place, now)
        taken.append((frame_at - begun) * 1000)
    return taken[2:]


def moved(terminal: Terminal, place: re.Pattern[bytes], before: bytes) -> tuple[float, bytes]:
    """When a frame first showed the cursor elsewhere than `before`, and where."""
    until = time.monotonic() + 5
    while True:
        while terminal.frames:
            frame = terminal.frames.pop(0)
            if (found := place.search(_STYLE.sub(b"", frame.data))) and found[1] != before:
                return frame.at, found[1]
        assert time.monotonic() < until, f"the cursor has not moved from {before!r}"
        terminal.read(0.25)
