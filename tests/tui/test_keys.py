"""Every key and every target of the mouse, against recorded scenes."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from tape.core.kernel.points import Stop
from tape.tui.panes.crash import CrashPane
from tape.tui.panes.detail import DetailPane
from tape.tui.panes.effects import EffectsPane
from tape.tui.panes.log import LogPane
from tape.tui.panes.tape import TapePane
from tests.tui.stage import Seat, Stage
from tests.tui.stories import Stories

WIDE, MEDIUM, NARROW, TINY = (200, 60), (120, 40), (80, 24), (69, 17)
pytestmark = pytest.mark.asyncio


def crash(seat: Seat) -> CrashPane:
    return seat.main.crash


def bottom(seat: Seat) -> str:
    return seat.lines()[-1].strip()


# --- moving ---------------------------------------------------------------------------------------------------------


async def test_the_cursor_moves_by_line_page_and_end(stage: Stage) -> None:
    async with stage.console(NARROW) as seat:
        runs = seat.main.runs
        assert (runs.cursor, runs.following) == (0, True)
        seen = []
        for key in ("j", "down", "k", "up", "G", "pageup", "g", "pagedown", "end", "home", "ctrl+f", "ctrl+b"):
            await seat.press(key)
            seen.append(runs.cursor)
        page = runs.visible_rows - 1
        assert seen == [1, 2, 1, 0, 11, 11 - page, 0, page, 11, 0, page, 0]
        await seat.press("k")
        assert runs.cursor == 0


async def test_the_selected_run_is_the_one_under_the_cursor(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("j", "j", "j")
        assert seat.main.view.run_id == stage.named["acted"]
        assert stage.scene.selected and stage.scene.selected.run.id == stage.named["acted"]
        assert "N-present" in seat.text()


async def test_following_goes_to_each_new_run(stage: Stage, stories: Stories) -> None:
    async with stage.console() as seat:
        new = stories.story("new", stories.running)
        await seat.tick()
        assert seat.main.runs.cursor == 0
        assert seat.main.view.run_id == new


async def test_a_selection_sticks_to_its_run_while_rows_come_in_above(stage: Stage, stories: Stories) -> None:
    async with stage.console(NARROW) as seat:
        await seat.press("j", "j")
        (row,) = [line for line in seat.of("runs") if "▸" in line]
        where = seat.of("runs").index(row)
        for number in range(3):
            stories.story(f"new {number}", stories.running)
            await seat.tick()
        assert seat.main.view.run_id == stage.named["asked"]
        assert (seat.main.runs.cursor, seat.main.runs.top) == (5, 3)
        assert stage.named["asked"] in seat.of("runs")[where], "it stands where it stood"
        await seat.press("f")
        assert (seat.main.runs.cursor, seat.main.runs.following) == (0, True)
        assert seat.main.view.run_id == stage.named["new 2"]
        await seat.press("f")
        assert not seat.main.runs.following


async def test_the_log_follows_until_it_is_read(stage: Stage) -> None:
    async with stage.console(NARROW) as seat:
        await seat.press("6")
        log = seat.main.log_pane
        assert log.cursor == len(log.lines) - 1 and "follow ▾" in seat.of("log")[0]
        await seat.press("k")
        here = log.cursor_key
        for number in range(4):
            stage.say(f"line {number}")
        await seat.tick()
        assert log.cursor_key == here
        assert "4 new  f follows" in seat.of("log")[0]
        await seat.press("f")
        assert "follow ▾" in seat.of("log")[0] and "line 3" in seat.text()


async def test_the_tabs_of_the_log(stage: Stage, stories: Stories) -> None:
    stories.order(stage.named["running"], "kill", {"signal": "KILL"})
    async with stage.console() as seat:
        log = seat.main.log_pane
        titles, counts = [], []
        for _ in range(4):
            await seat.press("l")
            titles.append(log.title())
            counts.append(len(log.lines))
        assert titles == [
            "Log all [agent] reactors you",
            "Log all agent [reactors] you",
            "Log all agent reactors [you]",
            "Log [all] agent reactors you",
        ]
        assert counts[0] == 2 and counts[2] == 2 and counts[3] > sum(counts[:3])
        assert isinstance(seat.main.focused, LogPane)


async def test_sorting(stage: Stage) -> None:
    async with stage.console() as seat:
        orders = []
        for _ in range(3):
            await seat.press("S")
            await seat.tick()
            orders.append([stage.scene.runs.at(row).id for row in range(12)])  # type: ignore[union-attr]
        oldest, open_first, newest = orders
        assert oldest == newest[::-1]
        ended = {stage.named[name] for name in ("quiet", "failed", "cancelled", "early", "late", "acted")}
        assert set(open_first[6:]) == ended and open_first[0] == stage.named["running"]
        assert "runs: newest" in bottom(seat)


# --- the filter -------------------------------------------------------------------------------------------------------


async def test_filtering_with_tokens_and_a_wrong_token(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("slash")
        field = seat.main.query_one("#filter", Input)
        assert field.has_focus and field.display
        await seat.press(*"state:stuc", "enter")
        assert seat.main.view.filter == "state:stuc" and not field.display
        assert stage.scene.runs.length == 1
        assert seat.main.view.run_id == stage.named["nobody"]
        assert "state:stuck" in seat.of("runs")[0]
        views = len(stage.views)
        await seat.press("slash", "end", *([*"x:"]), "enter")
        assert field.has_focus, "what is wrong can be put right"
        assert "state:stucx:" in bottom(seat) or "stucx" in seat.text()
        assert len(stage.views) == views
        await seat.press("escape")
        assert not field.display and seat.main.runs.has_focus and seat.main.view.filter == "state:stuc"
        await seat.press("escape")
        assert seat.main.view.filter == "" and stage.scene.runs.length == 12


async def test_several_parts_of_a_filter_and_one_that_nothing_passes(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("slash", *"effect:unknown", "space", *"since:10m", "enter")
        assert stage.scene.runs.length == 2
        await seat.press("slash", *" agent:nobody", "enter")
        assert stage.scene.runs.length == 0
        assert "no run passes the filter; esc clears it" in seat.text()
        await seat.press("escape")
        assert stage.scene.runs.length == 12


async def test_keys_typed_into_the_filter_are_no_acts(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("slash", *"KnctTXzR167fol", "space", "enter")
        assert stage.acts == []


# --- panes, sizes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [WIDE, MEDIUM, NARROW], ids=str)
async def test_each_pane_has_a_key(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.console(size) as seat:
        names = ("runs", "tape", "effects", "reactors", "processes", "log", "detail", "crash")
        for key, name in zip("1234567x", names, strict=True):
            await seat.press(key)
            assert seat.main.focused is seat.pane(name), name
            assert name in seat.shown
            assert seat.of(name)[0].startswith(f"╭─ {key} ")


async def test_tab_goes_round_the_panes_on_screen(stage: Stage) -> None:
    async with stage.console(MEDIUM) as seat:
        count = len(seat.shown)
        seen = []
        for _ in range(count):
            await seat.press("tab")
            seen.append(str(seat.main.focused.id) if seat.main.focused else "")
        assert sorted(seen) == sorted(seat.shown) and seen[-1] == "runs"
        await seat.press("shift+tab")
        assert seat.main.focused is seat.pane(seen[-2])


async def test_what_is_on_screen_at_each_size(stage: Stage) -> None:
    async with stage.console(WIDE) as seat:
        everything = {"runs", "tape", "effects", "reactors", "processes", "log", "detail", "crash"}
        assert set(seat.shown) == everything
        await seat.resize(*MEDIUM)
        assert set(seat.shown) == everything - {"detail"}
        await seat.resize(*NARROW)
        assert seat.shown == ["runs", "tape", "crash"]
        await seat.resize(*TINY)
        assert seat.shown == []
        assert seat.lines()[0].strip().startswith("too small: ")
        assert not "".join(seat.lines()[1:]).strip()
        await seat.resize(*WIDE)
        assert set(seat.shown) == everything
        for line in seat.lines():
            assert len(line) == 200


@pytest.mark.parametrize("size", [WIDE, MEDIUM, NARROW, TINY, (70, 18), (100, 18), (20, 3), (300, 90)], ids=str)
async def test_every_line_is_as_wide_as_the_screen(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.console(size) as seat:
        for key in "1234567xz":
            await seat.press(key)
            assert {len(line) for line in seat.lines()} == {size[0]}
            assert len(seat.lines()) == size[1]


async def test_zoom(stage: Stage) -> None:
    async with stage.console(MEDIUM) as seat:
        await seat.press("3", "z")
        assert seat.shown == ["effects"]
        await seat.press("2")
        assert seat.shown == ["tape"]
        await seat.press("z")
        assert "runs" in seat.shown
        await seat.press("z", "escape")
        assert "runs" in seat.shown


async def test_panes_grow_and_shrink(stage: Stage) -> None:
    async with stage.console(MEDIUM) as seat:
        runs, height, width = seat.pane("runs"), seat.pane("runs").size.height, seat.pane("runs").size.width
        await seat.press("plus")
        assert runs.size.height > height
        await seat.press("minus", "minus")
        assert runs.size.height < height
        await seat.press("right_parenthesis")
        assert runs.size.width > width
        await seat.press("left_parenthesis", "left_parenthesis")
        assert runs.size.width < width


async def test_detail_opens_and_closes(stage: Stage) -> None:
    async with stage.console(MEDIUM) as seat:
        await seat.press("2", "g", "enter")
        assert "detail" in seat.shown and seat.main.tape.has_focus
        assert '"kind": "run_started"' in seat.text()
        await seat.press("j")
        assert '"kind": "decision"' in seat.text()
        await seat.press("escape")
        assert "detail" not in seat.shown


async def test_detail_takes_the_lower_pane_where_there_is_one_column(stage: Stage) -> None:
    async with stage.console(NARROW) as seat:
        await seat.press("enter")
        assert isinstance(seat.main.focused, TapePane)
        await seat.press("enter")
        assert isinstance(seat.main.focused, DetailPane)
        await seat.press("G")
        assert seat.main.detail.top > 0
        await seat.press("escape")
        assert seat.shown == ["runs", "tape", "crash"]


# --- time -------------------------------------------------------------------------------------------------------------


async def test_time_travel(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("acted")
        now = seat.main.tape.count()
        await seat.press("less_than_sign")
        assert (
            seat.main.view.at is not None
            and "◆ past: as of entry" in seat.of("tape")[0]
            and "◆ time" in seat.lines()[0]
        )
        statuses = []
        while seat.main.tape.count() > 1:
            await seat.press("less_than_sign")
            selected = stage.scene.selected
            assert selected
            statuses += [selected.story.status] if selected.story.status not in statuses[-1:] else []
        assert statuses == ["RUNNING", "RUNNABLE", "WAITING", "RUNNING", "RUNNABLE"]
        await seat.press("less_than_sign", "less_than_sign")
        assert seat.main.tape.count() == 1
        await seat.press("greater_than_sign")
        assert seat.main.tape.count() == 2
        await seat.press("escape")
        assert seat.main.view.at is None and seat.main.tape.count() == now
        await seat.press("less_than_sign", "greater_than_sign")
        assert seat.main.view.at is None
        assert stage.acts == []


async def test_the_whole_story(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("acted")
        before = seat.main.tape.count()
        await seat.press("w")
        assert seat.main.tape.count() > before and "every entry" in seat.of("tape")[0]
        await seat.press("w")
        assert seat.main.tape.count() == before


async def test_effects_of_all_runs(stage: Stage) -> None:
    async with stage.console() as seat:
        effects = seat.pane("effects")
        assert isinstance(effects, EffectsPane) and effects.count() == 0
        await seat.press("o")
        assert effects.count() == 8 and "all runs" in seat.of("effects")[0]
        await seat.press("3", "g")
        assert effects.ref and effects.ref.status in ("PENDING", "UNKNOWN")
        await seat.press("o")
        assert effects.count() == 0


async def test_pause(stage: Stage, stories: Stories) -> None:
    async with stage.console() as seat:
        await seat.press("space")
        assert "▮▮ paused" in seat.lines()[0]
        stories.story("new", stories.running)
        await seat.tick()
        assert stage.named["new"] not in seat.text()
        await seat.press("space")
        assert stage.named["new"] in seat.text() and "● live" in seat.lines()[0]


# --- acts -------------------------------------------------------------------------------------------------------------


async def test_a_point_is_armed_in_each_run_then_once_then_not(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("x")
        assert crash(seat).point == "effect.acted"
        await seat.press("space")
        assert "[▣acted]" in seat.text()
        await seat.press("space")
        assert "[▣1 acted]" in seat.text()
        await seat.press("space")
        assert "[acted]" in seat.text()
        at = {"at": "effect.acted"}
        assert stage.orders == [
            ("kill", None, {**at, "signal": "KILL", "each_run": True}),
            ("disarm", None, at),
            ("kill", None, {**at, "signal": "KILL", "each_run": False}),
            ("disarm", None, at),
        ]
        assert "disarmed" in bottom(seat)


async def test_the_kinds_of_death(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("x")
        seen = []
        for _ in range(4):
            seen.append((crash(seat).death, crash(seat).expects))
            await seat.press("X")
        assert [death for death, _ in seen] == ["KILL", "TERM", "STOP", "LOST"]
        assert len({expects for _, expects in seen}) == 4
        await seat.press("X", "space")
        assert stage.orders == [("kill", None, {"at": "effect.acted", "signal": "TERM", "each_run": True})]


async def test_the_buttons_are_reached_by_the_arrows(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("x", "right")
        assert crash(seat).point == "effect.ended"
        await seat.press("left", "left", "h")
        assert crash(seat).point == "decision.recorded"
        await seat.press("down")
        assert crash(seat).point in {"lease.granted", "observe.answered", "dispatch.started", "dispatch.acted"}
        await seat.press("up")
        assert crash(seat).point.startswith(("decision.", "effect."))
        seen = set()
        for _ in range(16):
            seen.add(crash(seat).point)
            await seat.press("right")
        assert len(seen) == 16 and "at:before_wire" in seen


async def test_run_to_step_and_go(stage: Stage) -> None:
    async with stage.console() as seat:
        run = stage.named["running"]
        await seat.press("t")
        assert "[◆acted]" in seat.text()
        await seat.press("n", "c")
        assert stage.orders == [
            ("step", run, {"to": "effect.acted"}),
            ("step", run, {}),
            ("step", run, {"go": True}),
        ]
        await seat.choose("acted")
        await seat.press("n", "c", "t")
        assert [run_id for _, run_id, _ in stage.orders[3:]] == [None] * 3, "a run that has ended stops nowhere"


async def test_kill_names_the_process_that_drives_the_run_now(stage: Stage) -> None:
    async with stage.console() as seat:
        lease = stage.scene.runs.leases[stage.named["running"]]
        await seat.press("K")
        (act,) = stage.acts
        assert (act.order.verb, act.order.run_id) == ("kill", stage.named["running"])
        assert act.order.args == {"signal": "KILL", "pid": lease.pid}
        assert f"SIGKILL to w{lease.worker}, pid {lease.pid}" in bottom(seat)


async def test_no_act_strikes_the_run_that_the_cursor_has_left(stage: Stage) -> None:
    async with stage.console() as seat:
        first = stage.scene.selected
        stage.look = stage.views.append  # the feed is still reading
        for key in ("K", "n", "c", "t", "R"):
            await seat.press("j", key)
            assert seat.main.scene.selected is first and first is not None
            assert seat.main.view.run_id != first.run.id
            assert "is being read: nothing was done; press the key again" in bottom(seat)
        assert stage.acts == []


@pytest.mark.parametrize("story", ["acted", "asked", "nobody", "cancelled"])
async def test_a_run_that_nobody_drives_cannot_be_killed(stage: Stage, story: str) -> None:
    async with stage.console() as seat:
        await seat.choose(story)
        await seat.press("K")
        assert stage.acts == []
        assert "is not being driven now: nothing to kill" in bottom(seat)


async def test_a_stopped_run_is_killed_where_it_stands(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("stopped")
        assert "◆ stopped at effect.begun" in seat.text() and "n next" in bottom(seat)
        await seat.press("X", "K")
        assert stage.orders[0][2]["signal"] == "KILL", "whatever death is chosen for the points"
        await seat.press("c")
        assert stage.host.stopped == [] and "◆ stopped" not in seat.text()


async def test_ctrl_c_twice_within_two_seconds_kills(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("ctrl+c")
        assert stage.acts == [] and "once more" in bottom(seat)
        stage.clock.advance(2)
        await seat.press("ctrl+c")
        assert stage.acts == [], "too late: that was the first again"
        stage.clock.advance(1.999)
        await seat.press("ctrl+c")
        assert [verb for verb, _, _ in stage.orders] == ["kill"]
        await seat.press("ctrl+c")
        assert len(stage.acts) == 1, "the third one is a first one"


async def test_thaw_and_again(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("T")
        await seat.choose("acted")
        await seat.press("R")
        thaw, again = stage.acts
        assert thaw.order.verb == "thaw"
        assert again.order.args == {"agent": "treasury", "input": "pay invoice 7", "key": None}
        assert [(strike.point, strike.death) for strike in again.recipe] == [("effect.acted", "KILL")]
        assert seat.main.view.run_id == stage.named["running"], "the new run is looked at"


async def test_what_is_refused_is_said(stage: Stage) -> None:
    stage.refuses = "the service is still starting: try again in a moment"
    async with stage.console() as seat:
        await seat.press("T")
        assert stage.refuses in bottom(seat)


async def test_a_refusal_cannot_draw(stage: Stage) -> None:
    stage.refuses = "\x1b[2J[@click=app.quit]x[/] \u202e"
    async with stage.console() as seat:
        await seat.press("T")
        assert r"\x1b[2J[@click=app.quit]x[/] \u202e" in bottom(seat)


async def test_without_a_run_there_is_nothing_to_do(new_project: Stage) -> None:
    async with new_project.console() as seat:
        await seat.press("K", "R", "less_than_sign", "v", "j", "G", "enter", "pagedown", "f", "f")
        assert new_project.acts == []
        await seat.press("x", "space", "t", "n")
        assert [(verb, run) for verb, run, _ in new_project.orders] == [("kill", None), ("step", None), ("step", None)]


async def test_verdict_steps_move_the_cursor_of_the_tape(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("acted")
        await seat.press("x")
        verdict = crash(seat).verdict
        assert verdict
        seen = []
        for _ in verdict.steps:
            await seat.press("v")
            line = seat.main.tape.line
            assert line
            seen.append(line.id)
        assert seen == sorted(seen) and len(set(seen)) >= 4
        assert {step.entry_id for step in verdict.steps} >= set(seen) & {step.entry_id for step in verdict.steps}
        await seat.press("v")
        assert seat.main.tape.line and seat.main.tape.line.id == seen[0], "and round again"


# --- the mouse --------------------------------------------------------------------------------------------------------


async def test_a_click_selects_and_two_open(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.click("runs", 10, 5)
        assert seat.main.runs.cursor == 3 and seat.main.view.run_id == stage.named["acted"]
        seat.main.tape.action_jump(0)
        await seat.click("tape", 20, 2, times=2)
        assert "detail" in seat.shown and '"kind": "run_started"' in seat.text()
        await seat.click("runs", 10, 1)
        assert seat.main.runs.cursor == 3, "the head is no row"


async def test_the_wheel_moves_three_lines(stage: Stage) -> None:
    async with stage.console() as seat:
        seat.pane("runs").action_move(0)
        await seat.pilot._post_mouse_events([_wheel_down()], widget="#runs", offset=(5, 4))
        await seat.pause()
        assert seat.main.runs.cursor == 3


def _wheel_down() -> type:
    from textual.events import MouseScrollDown

    return MouseScrollDown


async def test_a_click_on_a_point_arms_it(stage: Stage) -> None:
    async with stage.console() as seat:
        line, column = find(seat, "crash", "[replied")
        await seat.click("crash", column + 1, line)
        assert stage.orders == [("kill", None, {"at": "decision.replied", "signal": "KILL", "each_run": True})]
        assert crash(seat).point == "decision.replied"


async def test_every_button_is_where_it_is_drawn(stage: Stage) -> None:
    for size in (MEDIUM, WIDE):
        async with stage.console(size) as seat:
            for button in crash(seat).buttons:
                stage.acts.clear()
                stage.host.armed.clear()
                await seat.tick()
                line, column = find(seat, "crash", f"[{button.label}")
                if button.label == "ended":  # two are called so: the effect's is the first
                    continue
                await seat.click("crash", column, line)
                assert stage.orders[0][2]["at"] == button.point


async def test_a_click_on_kill_now_kills_and_one_beside_it_does_not(stage: Stage) -> None:
    async with stage.console() as seat:
        line, column = find(seat, "crash", "✗ KILL now")
        await seat.click("crash", column - 2, line)
        assert stage.acts == []
        await seat.click("crash", column, line)
        await seat.click("crash", column + 9, line)
        assert [verb for verb, _, _ in stage.orders] == ["kill", "kill"]


async def test_a_click_on_the_verdict_goes_through_it(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("acted")
        line, column = find(seat, "crash", "verdict killed")
        await seat.click("crash", column + 10, line)
        assert seat.main.tape.line and seat.main.tape.line.kind == "CUT" and stage.acts == []


async def test_the_compact_crash_pane_arms_nothing_by_accident(stage: Stage) -> None:
    async with stage.console(NARROW) as seat:
        await seat.click("crash", 10, 1)
        assert stage.acts == []
        assert crash(seat).has_focus and len(seat.of("crash")) > 3, "it opens"


def find(seat: Seat, widget: str, text: str) -> tuple[int, int]:
    """Line and column of a text in a widget."""
    for number, line in enumerate(seat.of(widget)):
        if text in line:
            return number, line.index(text)
    raise AssertionError(f"{text!r} is not on {widget}:\n" + "\n".join(seat.of(widget)))


async def test_a_stop_elsewhere_does_not_stop_this_run(stage: Stage) -> None:
    stage.host.stopped = [Stop(stage.named["zombie"], 10, 12350, "decision.asking", None, 2)]
    async with stage.console() as seat:
        assert crash(seat).stop is None and "◆ STOPPED" in seat.text()
