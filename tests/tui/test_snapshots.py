"""Pictures of the main screen: colours and marks, at the sizes and in the themes where they differ.

They belong to one release of Textual; with another one they are left out, the texts of test_panes.py are not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pytest
from textual.pilot import Pilot

from tape.tui.app import Console
from tape.tui.scene import Phase
from tests.tui.stage import Seat, Stage

TEXTUAL = "8.2"
pytestmark = pytest.mark.skipif(
    not version("textual").startswith(f"{TEXTUAL}."), reason=f"the pictures were taken with Textual {TEXTUAL}"
)
Compare = Callable[..., bool]
WIDE, MEDIUM, NARROW = (200, 60), (120, 40), (80, 24)
DARK, LIGHT, ANSI = "tape-dark", "tape-light", "ansi-dark"


@dataclass(frozen=True, slots=True)
class Case:
    size: tuple[int, int] = MEDIUM
    story: str = ""
    keys: str = ""
    theme: str = DARK
    ascii: bool = False


CASES: dict[str, Case] = {
    "live": Case(story="running"),
    "live-light": Case(story="running", theme=LIGHT),
    "live-ansi": Case(story="running", theme=ANSI),
    "live-narrow": Case(NARROW, "running"),
    "live-wide": Case(WIDE, "running"),
    "verdict": Case(story="acted", keys="2"),
    "verdict-light": Case(story="acted", keys="2", theme=LIGHT),
    "verdict-ansi": Case(story="acted", keys="2", theme=ANSI),
    "verdict-wide": Case(WIDE, "acted", "2"),
    "verdict-ascii": Case(story="acted", keys="2", ascii=True),
    "stopped": Case(story="stopped"),
    "stopped-ansi": Case(NARROW, "stopped", theme=ANSI),
    "crash-narrow": Case(NARROW, "acted", "x space right space space left left t"),
    "crash-narrow-light": Case(NARROW, "acted", "x space right space space left left t", LIGHT),
    "detail": Case(story="acted", keys="2 g j j j enter"),
    "detail-light": Case(story="acted", keys="2 g j j j enter", theme=LIGHT),
    "time": Case(story="acted", keys="2 less_than_sign less_than_sign less_than_sign less_than_sign"),
    "filter": Case(keys="slash s t a t e colon o p e n space s i n c e colon 1 0 m enter"),
    "filter-typing": Case(keys="slash s t a t e"),
    "stuck": Case(story="nobody", keys="1 enter"),
    "stuck-light": Case(story="nobody", keys="1 enter", theme=LIGHT),
    "undoing": Case(WIDE, "undoing", "3"),
    "tiny": Case((60, 12), "acted"),
}


def begin(case: Case, stage: Stage) -> tuple[Console, Callable[[Pilot[Any]], Awaitable[None]]]:
    app = stage.app(case.theme, ascii=case.ascii)

    async def before(pilot: Pilot[Any]) -> None:
        seat = Seat(stage, app, pilot)
        await pilot.pause()
        if case.story:
            await seat.choose(case.story)
        await seat.press(*case.keys.split())
        app.main.keys._hush()

    return app, before


@pytest.mark.parametrize("name", CASES)
def test_the_main_screen(stage: Stage, snap_compare: Compare, name: str) -> None:
    case = CASES[name]
    app, before = begin(case, stage)
    assert snap_compare(app, terminal_size=case.size, run_before=before)


@pytest.mark.parametrize("theme", [DARK, LIGHT, ANSI])
def test_a_broken_service(stage: Stage, snap_compare: Compare, theme: str) -> None:
    stage.phase = Phase.BROKEN
    stage.trouble = "the server has ended: the disk is full; q quits, the next start takes up what is open"
    app, before = begin(Case(NARROW, "acted", theme=theme), stage)
    assert snap_compare(app, terminal_size=NARROW, run_before=before)


def test_the_first_start(new_project: Stage, snap_compare: Compare) -> None:
    app, before = begin(Case(), new_project)
    assert snap_compare(app, terminal_size=MEDIUM, run_before=before)
