"""What is loaded before it is needed: nothing. Each look is at the modules of a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("sqlmodel", "sqlalchemy", "pydantic", "psutil", "watchfiles")


def loaded(code: str, folder: Path, *names: str) -> set[str]:
    """Which of these packages a process has loaded when it has run the code."""
    told = f"{code}\nimport sys\nprint('LOADED', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("LOADED")]
    return set(line.split()) & set(names)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tape.yaml").write_text("name: treasury\nagent: app.agent:treasury\nupstream:\n  bank: {}\n")
    return tmp_path


def test_the_command_line_does_not_load_the_toolkit(project: Path) -> None:
    assert loaded("import tape.cli", project, "textual", "rich_pixels", *HEAVY) == set()


def test_status_does_not_load_the_toolkit(project: Path) -> None:
    code = "from typer.testing import CliRunner; from tape.cli import app; CliRunner().invoke(app, ['status'])"
    assert loaded(code, project, "textual", "sqlalchemy", "sqlmodel", "psutil", "watchfiles") == set()


def test_an_agents_import_loads_neither_console_nor_journal(project: Path) -> None:
    assert loaded("import tape\ntape.tool", project, "textual", *HEAVY) == set()


CONSOLE = """
import os
os.environ["TEXTUAL_ANIMATIONS"] = "none"
from pathlib import Path
from tape.core.clock import SystemClock
from tape.core.config import load_config
from tape.tui import start
from tape.tui.app import Console
from tape.tui.live import Live
from tape.tui.scene import Scene, Strip, View
from tape.tui.choices import Choices
config, clock = load_config(Path("."), {}), SystemClock()
scene = Scene(View(), Strip("treasury", "dev.db"))
live = Live(config, clock, scene, Choices())
app = Console(live, clock, scene)
"""
PAINTED = """
import asyncio, sys
painted = []
live.start = lambda post: painted.append(sorted(sys.modules))
async def go():
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        assert "Runs" in "".join(strip.text for strip in strips)
asyncio.run(go())
assert len(painted) == 1
"""


def test_nothing_heavy_before_the_screen(project: Path) -> None:
    assert loaded(CONSOLE, project, *HEAVY, "textual") == {"textual"}


def test_nothing_heavy_before_the_first_paint(project: Path) -> None:
    assert loaded(CONSOLE + PAINTED, project, *HEAVY) == set()
