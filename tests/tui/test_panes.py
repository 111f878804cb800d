"""The screen as plain text, case by case: what a review reads. Pictures with colours are in test_snapshots.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tape.tui.pane import Pane
from tape.tui.scene import Phase
from tests.tui.stage import Stage

Golden = Callable[[str, str], None]
WIDE, MEDIUM, NARROW = (200, 60), (120, 40), (80, 24)
STORIES = (
    "quiet", "acted", "early", "late", "asked", "nobody", "undoing", "failed", "cancelled", "zombie", "stopped",
)  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
async def test_each_story(stage: Stage, golden: Golden, story: str) -> None:
    """Tape, effects and verdict of each story."""
    async with stage.console((120, 44)) as seat:
        await seat.choose(story)
        parts = [name for name in ("tape", "effects", "crash")]
        golden(f"story_{story}", "".join("\n".join(line.rstrip() for line in seat.of(name)) + "\n" for name in parts))


CASES: dict[str, tuple[tuple[int, int], str, str]] = {
    "narrow": (NARROW, "acted", ""),
    "narrow_effects": (NARROW, "undoing", "3"),
    "narrow_reactors": (NARROW, "acted", "4"),
    "narrow_processes": (NARROW, "acted", "5"),
    "narrow_log": (NARROW, "acted", "6"),
    "narrow_detail": (NARROW, "acted", "2 enter"),
    "narrow_crash": (NARROW, "acted", "x"),
    "narrow_stopped": (NARROW, "stopped", ""),
    "medium_all_effects": (MEDIUM, "acted", "o 3 g"),
    "medium_zoomed_effects": (MEDIUM, "undoing", "3 z"),
    "medium_zoomed_reactors": (MEDIUM, "acted", "4 z"),
    "medium_zoomed_processes": (MEDIUM, "acted", "5 z"),
    "medium_zoomed_log": (MEDIUM, "acted", "6 z"),
    "medium_whole_story": (MEDIUM, "acted", "2 w z g"),
    "medium_detail_of_a_decision": (MEDIUM, "acted", "2 g j j enter"),
    "medium_stuck": (MEDIUM, "nobody", "1 enter"),
    "medium_time": (MEDIUM, "acted", "less_than_sign less_than_sign less_than_sign"),
    "wide": (WIDE, "acted", ""),
    "least": ((70, 18), "acted", ""),
    "least_of_two_columns": ((100, 18), "acted", ""),
    "tiny": ((69, 17), "acted", ""),
}


@pytest.mark.parametrize("name", CASES)
async def test_each_case(stage: Stage, golden: Golden, name: str) -> None:
    size, story, keys = CASES[name]
    async with stage.console(size) as seat:
        await seat.choose(story)
        await seat.press(*keys.split())
        golden(name, seat.text())


async def test_the_first_start(new_project: Stage, golden: Golden) -> None:
    new_project.phase = Phase.STARTING
    async with new_project.console(MEDIUM) as seat:
        starting = seat.text()
        new_project.phase = Phase.LIVE
        await seat.tick()
        golden("first_start", starting + seat.text())


async def test_every_pane_says_what_could_be_in_it(new_project: Stage) -> None:
    async with new_project.console(WIDE) as seat:
        for name in ("runs", "tape", "effects", "reactors", "processes", "log", "detail"):
            if name in seat.shown:
                assert "".join(seat.of(name)[1:-1]).strip(" │"), name
        for name in ("reactors", "processes", "log", "effects", "detail", "tape"):
            await seat.press(
                {"reactors": "4", "processes": "5", "log": "6", "effects": "3", "detail": "7"}.get(name, "2")
            )
            assert "".join(seat.of(name)[1:-1]).strip(" │"), name


async def test_ascii(stage: Stage, golden: Golden) -> None:
    async with stage.console(MEDIUM, ascii=True) as seat:
        await seat.choose("acted")
        await seat.press("x")
        text = seat.text()
        assert text.isascii(), sorted({sign for sign in text if not sign.isascii()})
        golden("ascii", text)


async def test_trouble_stands_on_top_and_the_rest_stays(stage: Stage, golden: Golden) -> None:
    async with stage.console(NARROW) as seat:
        stage.phase = Phase.BROKEN
        stage.trouble = "the server has ended: disk full; q quits, the next start takes up what is open"
        await seat.tick()
        golden("narrow_broken", seat.text())


async def test_a_changed_project_name_and_long_figures(stage: Stage) -> None:
    stage.edit = lambda scene: replace(
        scene,
        strip=replace(scene.strip, project="p" * 60, size=12_345_678_901, total=1_000_000, errors=9_999, needs=1_234),
    )
    for size in (NARROW, MEDIUM, WIDE):
        async with stage.console(size) as seat:
            top = seat.lines()[0]
            assert len(top) == size[0] and top.rstrip().endswith("08:01:45")
            assert "! 1234 for you (i)" in top and "bank 3+4 ≥ 5 ✓" in top


async def test_what_only_a_person_can_settle_is_never_cut_off(stage: Stage) -> None:
    async with stage.console(NARROW) as seat:
        assert "! 1 for you (i)" in seat.lines()[0] and "✗ 1 error " in seat.lines()[0]


async def test_a_compensated_act_is_no_alarm(stage: Stage) -> None:
    async with stage.console(WIDE) as seat:
        await seat.choose("undoing")
        rows = [line for line in seat.of("effects") if "wire_money" in line]
        assert ["✗" in row for row in rows] == [False, False]
        assert "undo DUE" in rows[0] and "undo DONE" in rows[1]


async def test_a_second_act_is_an_alarm(stage: Stage) -> None:
    async with stage.console(WIDE) as seat:
        await seat.choose("quiet")
        ledger = stage.config.journal.parent / "bank.jsonl"
        assert stage.scene.selected
        key = stage.scene.selected.story.effects[0].key
        with ledger.open("a") as file:
            file.write(f'{{"event": "act", "id": "again", "key": "{key}"}}\n')
        await seat.tick()
        assert "acts 1 < 2 ✗" in seat.text() and "✗" in seat.lines()[0].partition("bank")[2]


async def test_columns_stand_under_each_other(stage: Stage) -> None:
    """In the list of runs the age ends where the head says, lease or none."""
    for size in (NARROW, MEDIUM, WIDE):
        async with stage.console(size) as seat:
            head, *rows = seat.of("runs")[1:-1]
            end = head.index(" age") + 4
            ages = [row[end - 4 : end + 1] for row in rows if "r-" in row]
            assert ages and all(age[-2].isalpha() and age[-1] == " " for age in ages), ages


def frame_is_whole(pane: Pane, lines: list[str]) -> bool:
    body = lines[1:-1]
    return (
        lines[0][0] == "╭" and lines[0][-1] == "╮" and lines[-1] == "╰" + "─" * (pane.size.width - 2) + "╯"
    ) and all(line[0] == "│" and line[-1] in "│┃" for line in body)


@pytest.mark.parametrize("size", [WIDE, MEDIUM, NARROW, (70, 18), (100, 18), (160, 20)], ids=str)
async def test_frames_are_whole(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.console(size) as seat:
        await seat.choose("acted")
        for key in "1234567x":
            await seat.press(key)
            for name in seat.shown:
                assert frame_is_whole(seat.pane(name), seat.of(name)), (key, name, seat.of(name))


async def test_the_keys_at_the_bottom_are_whole(stage: Stage) -> None:
    for size in (NARROW, MEDIUM, (70, 18)):
        async with stage.console(size) as seat:
            for key in "1234567x":
                await seat.press(key)
                line = seat.lines()[-1]
                assert "…" not in line and line.rstrip().endswith("^p palette"), line


async def test_a_pane_that_was_hidden_shows_what_is_now(stage: Stage) -> None:
    """Its size is the same as before it was hidden, so nothing else makes it draw."""
    async with stage.console(WIDE) as seat:

        def detail() -> str:
            box = seat.main.detail.region
            return "\n".join(line[box.x :] for line in seat.text().splitlines()[box.y : box.bottom])

        await seat.choose("acted")
        assert stage.named["acted"] in detail()
        await seat.resize(*MEDIUM)
        await seat.choose("quiet")
        await seat.resize(*WIDE)
        assert stage.named["quiet"] in detail()
        assert stage.named["acted"] not in detail()
