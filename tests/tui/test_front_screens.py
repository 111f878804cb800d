"""What stands in front of the panes for a moment: each at three sizes as text, and in three themes as a picture."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.stage import Seat, Stage
from tests.tui.test_snapshots import ANSI, DARK, LIGHT, MEDIUM, NARROW, TEXTUAL, WIDE, Compare

Golden = Callable[[str, str], None]
SIZES = {"narrow": NARROW, "medium": MEDIUM, "wide": WIDE}
SCREENS = {
    "trigger": ("acted", "r"),
    "cancel": ("running", "C"),
    "settle": ("nobody", "s"),
    "inbox": ("nobody", "i"),
    "quit": ("running", "q"),
    "compare": ("acted", "equals_sign @early equals_sign"),
    "help": ("acted", "question_mark"),
    "tour": ("acted", "question_mark t"),
    "palette": ("acted", "ctrl+p"),
}


async def open_screen(seat: Seat, name: str) -> None:
    story, keys = SCREENS[name]
    await seat.choose(story)
    for key in keys.split():
        if key.startswith("@"):
            await seat.choose(key[1:])
        else:
            await seat.press(key)
    await seat.pause()
    seat.main.keys._hush()
    seat.app.screen.set_focus(seat.app.screen.focused)
    await seat.pause()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SCREENS)
async def test_what_it_says(stage: Stage, golden: Golden, name: str, size: str) -> None:
    async with stage.console(SIZES[size]) as seat:
        await open_screen(seat, name)
        lines = seat.lines()
        assert all(len(line) == SIZES[size][0] for line in lines)
        golden(f"front_{name}_{size}", seat.text())


@pytest.mark.skipif(not version("textual").startswith(f"{TEXTUAL}."), reason=f"taken with Textual {TEXTUAL}")
@pytest.mark.parametrize("theme", [DARK, LIGHT, ANSI])
@pytest.mark.parametrize("name", SCREENS)
def test_how_it_looks(stage: Stage, snap_compare: Compare, name: str, theme: str) -> None:
    app = stage.app(theme)

    async def before(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        await open_screen(Seat(stage, app, pilot), name)

    run_before: Callable[[Pilot[Any]], Awaitable[None]] = before
    assert snap_compare(app, terminal_size=MEDIUM, run_before=run_before)
