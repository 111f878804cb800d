"""Writes docs/pictures/*.svg from real runs, real deaths and a real recovery: `python -m docs.make_pictures`.

The console runs in this process over a real service; a small story is played to it by keys, and each of its screens is
drawn at three sizes. Ids and times differ from one making to the next, nothing else does.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from textual.pilot import Pilot

from tape.core.clock import SystemClock
from tape.core.config import load_config
from tape.core.scaffold.scaffold import create_project
from tape.tui.app import Console
from tape.tui.choices import Choices
from tape.tui.crash_rows import LABELS
from tape.tui.live import Live
from tape.tui.scene import Phase, Scene, Strip, View

TARGET = Path(__file__).parent / "pictures"
SIZES = ((80, 24), (120, 40), (200, 60))
USER, HOST = "ada", "laptop"
DEADLINE_SECONDS = 60.0
PAUSE_SECONDS = 0.05


class Story:
    """The console under a pilot, and the pictures that are taken of it."""

    def __init__(self, app: Console, pilot: Pilot[int], folder: Path, private: tuple[str, ...]) -> None:
        self.app = app
        self.folder = folder
        self.pilot = pilot
        self._private = private
        self._number = 0

    async def until(self, holds: Callable[[Scene], object], what: str) -> None:
        """Waits for a scene on screen. Raises TimeoutError past the deadline."""
        for _ in range(int(DEADLINE_SECONDS / PAUSE_SECONDS)):
            if self.app.main.composed and holds(self.app.main.scene):
                return
            await self.pilot.pause(PAUSE_SECONDS)
        raise TimeoutError(f"not within {DEADLINE_SECONDS:g} s: {what}")

    async def keys(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def choose(self, point: str) -> None:
        await self.keys("x")
        points = list(LABELS)
        crash = self.app.main.crash
        await self.keys(*["right"] * ((points.index(point) - points.index(crash.point)) % len(points)))

    async def run_ended(self, number: int) -> None:
        def ended(scene: Scene) -> bool:
            selected = scene.selected
            return scene.strip.total == number and selected is not None and selected.run.status == "TERMINAL"

        await self.until(ended, f"run {number} has ended")
        await self.until(lambda scene: scene.strip.agents + scene.strip.spares >= 2, "worker and spare are ready")

    async def picture(self, name: str) -> None:
        """The screen as it is, at each size. Raises ValueError if it tells of the machine that it was made on."""
        self._number += 1
        for width, height in SIZES:
            await self.pilot.resize_terminal(width, height)
            await self.pilot.pause(4 * PAUSE_SECONDS)
            unnumbered = f"{name}-{width}x{height}"
            stem = f"{self._number:02d}-{unnumbered}"
            drawn = self.app.export_screenshot(title=f"tape dev, {width} x {height}")
            svg = re.sub(r"terminal-\d+", unnumbered, drawn)
            told = [word for word in self._private if word in svg]
            if told:
                raise ValueError(f"{stem} tells of this machine: {', '.join(told)}")
            (TARGET / f"{stem}.svg").write_text(svg, "utf-8")
        await self.pilot.resize_terminal(120, 40)


async def tell(story: Story) -> None:
    """From an empty journal to a payment that has survived."""
    await story.until(lambda scene: scene.phase is Phase.LIVE and scene.strip.spares >= 2, "the agents are ready")
    await story.picture("first-start")
    await story.keys("r")
    await story.pilot.pause(PAUSE_SECONDS)
    await story.keys(*["space" if sign == " " else sign for sign in "pay invoice 7"])
    await story.picture("trigger")
    await story.keys("enter")
    await story.run_ended(1)
    await story.picture("paid")
    await story.choose("effect.acted")
    await story.keys("space")
    await story.until(lambda scene: scene.arms, "the point is armed")
    await story.picture("armed")
    await story.keys("r")
    await story.keys("enter")
    await story.run_ended(2)
    await story.picture("verdict")
    await story.keys("space", "space")
    await story.until(lambda scene: not scene.arms, "the point is disarmed")
    await story.choose("effect.begun")
    await story.keys("t", "r", "enter")
    await story.until(lambda scene: scene.runs.stops, "the run has stopped")
    await story.picture("stopped")
    await story.keys("q")
    await story.picture("quit")
    await story.keys("escape", "K")
    await story.run_ended(3)
    await story.keys("2", "g", "j", "j", "j", "j", "j", "enter")
    await story.picture("detail")
    await story.keys("escape", "question_mark")
    await story.picture("help")
    await story.keys("t")
    await story.pilot.pause(4 * PAUSE_SECONDS)
    await story.picture("tour")
    await story.keys("escape")
    await look_back(story)
    await ask_a_person(story)


async def look_back(story: Story) -> None:
    """Two tapes side by side, a run as it was, and everything in the palette."""
    await story.keys("1", "g", "equals_sign", "j", "equals_sign")
    await story.pilot.pause(10 * PAUSE_SECONDS)
    await story.picture("compare")
    await story.keys("escape", "1", "g", "j", "2", *["less_than_sign"] * 6)
    await story.until(lambda scene: scene.selected is not None and scene.selected.at is not None, "it is the past")
    await story.picture("time-travel")
    await story.keys("escape", "ctrl+p")
    await story.pilot.pause(10 * PAUSE_SECONDS)
    await story.picture("palette")
    await story.keys("escape")


async def ask_a_person(story: Story) -> None:
    """The look-up is taken out of the code and saved; now nobody can be asked whether the wire went out."""
    agent = story.folder / "app" / "agent.py"
    agent.write_text(agent.read_text("utf-8").replace("@wire_money.observe\n", ""), "utf-8")
    await story.until(
        lambda scene: not any(tool["look_up"] for tool in (scene.manifest or {}).get("tools", [])), "reload"
    )
    await story.until(lambda scene: scene.strip.spares >= 2, "the new code is ready")
    await story.choose("effect.acted")
    await story.keys("space")
    await story.until(lambda scene: scene.arms, "the point is armed")
    await story.keys("r", "enter")
    await story.until(lambda scene: scene.needs, "a person is needed")
    await story.picture("stuck")
    await story.keys("i")
    await story.picture("inbox")
    await story.keys("enter")
    await story.pilot.pause(4 * PAUSE_SECONDS)
    await story.picture("settle")
    await story.keys("escape", "escape")
    await fork_it(story)


async def fork_it(story: Story) -> None:
    """The first run goes another way from its third record on, and its tool is not called."""
    await story.keys("1", "G", "2", "g", "j", "j", "F")
    await story.picture("fork")
    await story.keys("enter", "enter", "enter")

    def held(scene: Scene) -> bool:
        selected = scene.selected
        return selected is not None and selected.run.quarantine and selected.run.status == "TERMINAL"

    await story.until(held, "the fork has ended")
    await story.keys("1")
    await story.picture("quarantine")


async def draw(folder: Path, private: tuple[str, ...]) -> None:
    config = load_config(create_project("treasury", folder), {})
    clock = SystemClock()
    view = View()
    scene = Scene(
        view,
        Strip(config.name, str(config.journal.relative_to(config.root))),
        now_us=clock.wall_us(),
        boot_us=clock.boot_us(),
        agents=tuple(config.agents),
        honours_key=False,
    )
    choices = Choices()
    live = Live(config, clock, scene, choices)
    app = Console(live, clock, scene, choices=choices, export_folder=config.journal.parent / "exports")
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await tell(Story(app, pilot, config.root, private))
    finally:
        await asyncio.to_thread(live.stop, drain=False)


def prove(project: Path) -> None:
    """The matrix of the scaffold's agent."""
    command = [sys.executable, "-c", "from tape.cli import main; main()", "prove", "--input", '"pay invoice 7"']
    subprocess.run([*command, "--svg", TARGET / "matrix.svg"], cwd=project, check=True, capture_output=True)


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    for old in TARGET.glob("*.svg"):
        old.unlink()
    named = {"LOGNAME": USER, "HOME": f"/home/{USER}", "TEXTUAL_ANIMATIONS": "none"}
    private = (f"{Path.home()}/", f"{getpass.getuser()}@", f"@{socket.gethostname()}")
    with (
        tempfile.TemporaryDirectory(prefix="tape-") as folder,
        mock.patch.dict(os.environ, named),
        mock.patch("socket.gethostname", return_value=HOST),
    ):
        for name in ("NO_COLOR", "XDG_CONFIG_HOME"):
            os.environ.pop(name, None)
        asyncio.run(draw(Path(folder), (folder, *private)))
        prove(create_project("prover", Path(folder)))
    print(f"{len(list(TARGET.glob('*.svg')))} pictures in {TARGET}")


if __name__ == "__main__":
    main()
