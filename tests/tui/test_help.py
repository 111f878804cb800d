"""Help, the tour from its first step to its last, the palette, and what the themes do to what is drawn."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.content import Content
from textual.widgets import OptionList

from tape.core.marks import EFFECT_MARKS, RUN_MARKS
from tape.tui.choices import Choices
from tape.tui.help_rows import Act, groups, help_rows, wrap_words
from tape.tui.ink import Ink, width_of
from tape.tui.palette import Commands
from tape.tui.scene import Scene
from tape.tui.screens.help import HelpScreen, acts_of
from tape.tui.screens.helping import OFFER
from tape.tui.screens.tour import TourPanel
from tape.tui.themes import FIRST_THEMES
from tape.tui.tour_steps import LAST, STEPS
from tests.tui.stage import Seat, Stage
from tests.tui.stories import Stories

WIDE, MEDIUM, NARROW = (200, 60), (120, 40), (80, 24)


def flat(rows: list[Any]) -> str:
    return "\n".join("".join(text for text, _ in row) for row in rows)


# --- the page -------------------------------------------------------------------------------------------------------


def test_acts_of_here_come_first_and_unknown_ones_are_not_lost() -> None:
    acts = [Act("kill", ("K",), "kill it"), Act("down", ("j", "↓"), "down", here=True), Act("new", ("N",), "brand new")]
    found = groups(acts, "Runs pane")
    assert [(group.title, [act.id for act in group.acts]) for group in found] == [
        ("Runs pane", ["down"]),
        ("run and kill", ["kill"]),
        ("and", ["new"]),
    ]


@pytest.mark.parametrize("width", [60, 78, 118, 198])
def test_the_page_has_every_act_and_every_sign_and_fits(width: int) -> None:
    acts = [Act(f"act-{at}", (chr(97 + at),), f"does {at}") for at in range(20)]
    rows = help_rows(groups(acts, "here"), [(("a note " * 30, Ink.PLAIN),)], width)
    text = flat(rows)
    assert all(f"does {at}" in text for at in range(20))
    for status, mark in (*RUN_MARKS.items(), *EFFECT_MARKS.items()):
        assert f"{mark.glyph} {status}" in text
    assert max(width_of(row) for row in rows) <= width


def test_words_are_wrapped_whole() -> None:
    rows = wrap_words((("one two ", Ink.PLAIN), ("three", Ink.KEY), (" four", Ink.PLAIN)), 9)
    assert [flat([row]).rstrip() for row in rows] == ["one two", "three", "four"]


@pytest.mark.parametrize("size", [WIDE, MEDIUM, NARROW])
async def test_help_shows_the_keys_of_where_the_focus_is(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.console(size) as seat:
        await seat.press("question_mark")
        assert re.search(r"Runs pane", seat.text())
        await seat.press("escape")
        await seat.press("x", "question_mark")
        page = flat(seat.app.screen.pane.rows())  # type: ignore[attr-defined]
        assert "Crash pane" in page
        assert re.search(r"v +next line of the verdict", page)
        assert re.search(r"\? f1 +keys, signs, tour", page)
        await seat.press("G")
        assert "CONFIRMED" in seat.text()
        await seat.press("f1")
        assert seat.app.screen is seat.main


async def test_every_key_of_the_main_screen_is_on_the_page(stage: Stage) -> None:
    async with stage.console(MEDIUM) as seat:
        acts = acts_of(seat.main)
        await seat.press("f1")
        assert isinstance(seat.app.screen, HelpScreen)
        page = flat(seat.app.screen.pane.rows())
        for act in acts:
            assert act.says[:30] in page, act.id


async def test_help_names_the_file_of_keys(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/xdg\x1b[31m[/red]")
    async with stage.console(MEDIUM) as seat:
        await seat.press("question_mark")
        assert "/etc/xdg\\x1b[31m[/red]/tape/keys.yaml" in seat.text()


# --- the tour -------------------------------------------------------------------------------------------------------


def tour(seat: Seat) -> TourPanel:
    panel = seat.main.touring
    assert panel is not None
    return panel


def step(seat: Seat) -> int:
    return tour(seat).tour.step


def told(seat: Seat) -> str:
    """What the panel says, as one line."""
    rows = tour(seat).rows(*tour(seat).size)
    return " ".join(flat(rows[1:-1]).replace("│", " ").split())


async def test_the_tour_is_offered_once_and_never_forced(new_project: Stage) -> None:
    async with new_project.console() as seat:
        assert OFFER in seat.lines()[-1]
        assert seat.main.touring is None
        assert seat.app.screen is seat.main
        assert not seat.main.remembered(theme="").toured


async def test_it_is_not_offered_to_those_who_had_it(new_project: Stage) -> None:
    async with new_project.console(choices=Choices(toured=True)) as seat:
        assert OFFER not in seat.text()


async def test_it_is_not_offered_where_there_are_runs(stage: Stage) -> None:
    async with stage.console() as seat:
        assert OFFER not in seat.text()


async def test_the_tour_goes_on_by_what_is_done(stage: Stage, stories: Stories) -> None:
    async with stage.console(MEDIUM) as seat:
        await seat.press("question_mark", "t")
        assert seat.app.screen is seat.main
        assert step(seat) == 0
        assert told(seat).startswith("x goes to the crash pane. The cursor stands on effect.acted")
        await seat.press("x", "space")
        assert stage.orders == [("kill", None, {"at": "effect.acted", "signal": "KILL", "each_run": True})]
        assert step(seat) == 1
        assert told(seat) == "Armed: effect.acted. r asks for the input of a run: type pay invoice 7, then enter."
        run_id = stories.story("new", stories.running)
        await seat.tick()
        assert step(seat) == 2
        seat.main.runs.follow(True)
        await seat.tick()
        assert seat.main.view.run_id == run_id
        assert told(seat).startswith("The run goes on to the armed point.")
        stories.story("dead", stories.acted)
        await seat.tick()
        await seat.choose("dead")
        assert told(seat).startswith("It died at the red line. The reconciler asked the upstream, found the act")
        await seat.press("v", "v")
        assert step(seat) == 2
        await seat.press("v")
        assert step(seat) == 3
        assert told(seat).startswith("< steps back in time")
        await seat.press("less_than_sign")
        assert told(seat).startswith("< goes on back")
        await seat.press("escape")
        assert step(seat) == 4
        assert told(seat).startswith("R does the same again")
        stories.story("again", stories.running)
        await seat.tick()
        assert step(seat) == LAST
        await seat.press("enter")
        assert seat.main.touring is None
        assert seat.main.remembered(theme="").toured


async def test_what_is_done_already_is_not_asked_for(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("x", "space", "question_mark", "t")
        assert step(seat) == 1


async def test_a_run_to_is_no_death(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("question_mark", "t", "x", "t")
        assert stage.orders[-1][0] == "step"
        assert step(seat) == 0


async def test_enter_skips_and_esc_leaves(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("question_mark", "enter")
        for number in range(1, LAST + 1):
            await seat.press("enter")
            assert step(seat) == number
        assert stage.acts == []
        await seat.press("escape")
        assert seat.main.touring is None
        await seat.press("2", "enter")
        assert seat.main.wish.detail


async def test_enter_in_the_filter_is_not_the_tours(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("question_mark", "t", "slash", *"state", "colon", *"failed", "enter")
        assert seat.main.view.filter == "state:failed"
        assert step(seat) == 0


@pytest.mark.parametrize("size", [WIDE, MEDIUM, NARROW, (80, 19)])
async def test_the_panel_covers_no_pane(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.console(size) as seat:
        await seat.press("question_mark", "t")
        await seat.pause()
        panel = tour(seat).region
        assert (panel.width, panel.bottom) == size
        assert panel.height == (5 if size[1] >= 24 else 1)
        body = seat.main.body.region
        assert body.bottom == panel.y
        await seat.resize(size[0], size[1] + 8)
        assert tour(seat).region.bottom == size[1] + 8
        assert tour(seat).region.height == 5


async def test_a_terminal_that_is_too_small_is_told(stage: Stage) -> None:
    async with stage.console((80, 18)) as seat:
        await seat.press("question_mark", "t")
        assert seat.main.touring is None
        assert "the tour needs a terminal of 70 by 19" in seat.lines()[-1]


@pytest.mark.parametrize("number", range(len(STEPS)))
async def test_each_steps_words_fit_the_smallest_panel(stage: Stage, number: int) -> None:
    async with stage.console(NARROW) as seat:
        await seat.choose("acted")
        await seat.press("question_mark", "t", *["enter"] * number)
        panel = tour(seat)
        whole = " ".join("".join(text for text, _ in panel_words(panel)).split())
        assert told(seat) == whole
        assert "{" not in whole


def panel_words(panel: TourPanel) -> Any:
    from tape.tui.tour_steps import words

    return words(panel.tour, panel._scene, panel._keys)


async def test_the_tour_says_the_keys_that_hold_now(stage: Stage) -> None:
    app = type(stage.app())(stage, stage.clock, stage.first, keymap={"pane-crash": "ctrl+y", "verdict-step": "V"})
    async with app.run_test(size=MEDIUM) as pilot:
        seat = Seat(stage, app, pilot)
        await seat.pause()
        await seat.choose("acted")
        await seat.press("question_mark", "t")
        assert told(seat).startswith("^y goes to the crash pane")
        await seat.press("enter", "enter")
        assert told(seat).endswith("^y goes there; V goes through it on the tape.")


# --- the palette ----------------------------------------------------------------------------------------------------


async def offered(seat: Seat) -> list[str]:
    options = seat.app.screen.query_one(OptionList)
    await seat.app.workers.wait_for_complete()
    await seat.pause()
    return [str(option.prompt) for option in options.options]


async def test_the_palette_offers_every_act_with_its_key_and_the_first_themes(stage: Stage) -> None:
    async with stage.console() as seat:
        acts = acts_of(seat.main)
        await seat.press("ctrl+p")
        assert isinstance(seat.app.screen, CommandPalette)
        shown = await offered(seat)
        for act in acts:
            if act.id != "palette":
                assert f"{act.says}  {' '.join(act.keys)}" in shown
        themes = [line for line in shown if line.startswith("theme ")]
        assert [line.split()[1] for line in themes] == list(FIRST_THEMES)
        assert themes[0].endswith("now")
        assert "take the five-minute tour" in shown
        assert not {"Quit", "Screenshot", "Keys", "Maximize", "Theme"} & {line.split("  ")[0] for line in shown}


async def test_an_act_is_done_from_the_palette(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("ctrl+p", *"zoom the")
        assert (await offered(seat))[0] == "zoom the pane  z"
        await seat.press("enter")
        assert seat.main.wish.zoom == "runs"


async def test_a_run_is_gone_to(stage: Stage) -> None:
    async with stage.console() as seat:
        run_id = stage.named["acted"]
        await seat.press("ctrl+p", *run_id.replace("-", "")[1:])
        assert (await offered(seat))[0].startswith(f"go to {run_id} TERMINAL")
        await seat.press("enter")
        await seat.tick()
        assert stage.scene.selected and stage.scene.selected.run.id == run_id
        assert seat.main.runs.run and seat.main.runs.run.id == run_id


async def test_a_theme_is_chosen_and_remembered(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("ctrl+p", *"theme ansi-li")
        assert (await offered(seat))[0] == "theme ansi-light"
        await seat.press("enter")
        await seat.pause()
        assert seat.app.theme == "ansi-light"
        assert seat.main.remembered(theme=seat.app.theme).theme == "ansi-light"


@pytest.mark.parametrize("name", ["[/red]", "[bold", "a]b[/", "x\x1b[31my", "[@click=app.quit]z[/]"])
async def test_names_are_no_markup(stage: Stage, name: str) -> None:
    def rename(scene: Scene) -> Scene:
        views = {no: replace(run, agent=name, id=f"{name}{no}") for no, run in scene.runs.views.items()}
        return replace(scene, runs=replace(scene.runs, views=views))

    stage.edit = rename
    async with stage.console() as seat:
        hits = [hit async for hit in Commands(seat.main).search("go to")]
        said = [hit.prompt for hit in hits if hit.text and hit.text.startswith("go to")]
        assert said
        assert all(isinstance(prompt, Content) for prompt in said)
        shown = name.replace("\x1b", "\\x1b")
        assert all(shown in str(prompt) and "\x1b" not in str(prompt) for prompt in said)
        await seat.press("ctrl+p", *"goto")
        assert any(shown in line for line in await offered(seat))


# --- themes ---------------------------------------------------------------------------------------------------------


def colours(seat: Seat) -> set[Any]:
    """Every colour that the panes and the two lines draw with."""
    found: set[Any] = set()
    for strip in seat.main._compositor.render_strips():
        for segment in strip:
            if segment.style is not None:
                found |= {segment.style.color, segment.style.bgcolor}
    return found - {None}


async def test_another_theme_inks_every_line_anew(stage: Stage) -> None:
    async with stage.console(MEDIUM) as seat:
        dark = colours(seat)
        seat.app.theme = "tape-light"
        await seat.pause()
        await seat.pause()
        light = colours(seat)
        assert not dark & light
        seat.app.theme = "ansi-dark"
        await seat.pause()
        await seat.pause()
        assert all(colour.triplet is None for colour in colours(seat))


async def test_without_colours_there_is_none(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    for theme in FIRST_THEMES:
        async with stage.console(MEDIUM, theme) as seat:
            await seat.choose("acted")
            found = colours(seat)
            assert all(colour.is_default for colour in found), (theme, found)
            strips = seat.main._compositor.render_strips()
            styles = [segment.style for strip in strips for segment in strip if segment.style]
            assert any(style.bold for style in styles)
            assert any(style.reverse for style in styles)
