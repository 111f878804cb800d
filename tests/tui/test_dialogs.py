"""The acts that ask first: what each key opens, what confirms, what never does, and the order that is placed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual import events
from textual.widgets import Input

from tape.core.journal.shapes import Need, NeedKind
from tape.tui.choices import Choices
from tape.tui.ink import Row
from tape.tui.screens.asking import REMEMBERED_CHARACTERS, remember
from tape.tui.screens.choice import Choice
from tape.tui.screens.confirm import ConfirmScreen
from tape.tui.screens.facts import facts_rows, side_by_side
from tape.tui.screens.inbox import InboxScreen, ways_of
from tape.tui.screens.main import MainScreen
from tape.tui.screens.quit import QuitScreen
from tape.tui.screens.settle import SettleScreen
from tape.tui.screens.text_field import LIMIT, STAND_IN, TextField, visible
from tape.tui.screens.trigger import TriggerScreen
from tests.tui.stage import Seat, Stage
from tests.tui.stories import Stories

PAYMENT: dict[str, Any] = {
    "type": "object",
    "required": ["to", "amount_minor", "urgent"],
    "properties": {
        "to": {"type": "string", "description": "who is paid"},
        "amount_minor": {"type": "integer"},
        "urgent": {"type": "boolean"},
        "note": {"type": "string", "default": ""},
    },
}
HOSTILE = "[/] [red]\x1b[2J\x1b]0;x\x07\u202e\u200b[@click=app.quit]x[/]"
RAW = ("\x1b", "\x07", "\u202e", "\u200b")


def agents(stage: Stage, **inputs: Any) -> None:
    """The project has these agents, with what each takes."""
    told = [{"name": name, "input": schema} for name, schema in inputs.items()]
    stage.edit = lambda scene: replace(scene, agents=tuple(inputs), manifest={"agents": told})


def need(kind: NeedKind = NeedKind.EFFECT, **changes: Any) -> Need:
    run_id = changes.pop("run_id", "r-000000000001")
    plain = Need(
        kind=kind,
        run_id=run_id,
        agent="treasury",
        key="" if kind is NeedKind.RUN else f"{run_id}/1/0/wire_money" + ("/undo/1" if kind == "obligation" else ""),
        tool="" if kind is NeedKind.RUN else "wire_money",
        args={"to": "ACME"},
        evidence=None,
        why="too many crashes",
        row="",
        commands=(),
        since_us=1_800_000_000_000_000,
    )
    return replace(plain, **changes)


def put(stage: Stage, *needs: Need) -> None:
    stage.edit = lambda scene: replace(scene, needs=needs)
    stage.turn()


def front(seat: Seat) -> type[object]:
    return type(seat.app.screen)


def text_of(rows: list[Row]) -> str:
    return "\n".join("".join(text for text, _ in row) for row in rows)


# --- r: trigger a run -------------------------------------------------------------------------------------------


async def test_a_text_is_one_field_and_enter_starts_the_run(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("r", *"pay 7", "enter")
        assert front(seat) is MainScreen
        assert stage.orders == [("start", None, {"agent": "treasury", "input": "pay 7", "key": None})]
        assert seat.main.choices.inputs == {"treasury": "pay 7"}


async def test_esc_leaves_without_a_run(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("r", *"pay 7", "escape")
        assert front(seat) is MainScreen
        assert stage.orders == []
        assert seat.main.choices.inputs == {}


async def test_the_last_input_is_there_again(stage: Stage) -> None:
    async with stage.console(choices=Choices(inputs={"treasury": "pay 7"})) as seat:
        await seat.press("r")
        assert "pay 7" in seat.text()
        await seat.press("1", "enter")
        assert stage.orders[0][2]["input"] == "pay 71"


async def test_an_object_is_a_field_per_property_and_enter_goes_on(stage: Stage) -> None:
    agents(stage, treasury=PAYMENT)
    async with stage.console((80, 24)) as seat:
        await seat.press("r")
        assert "who is paid" in seat.text()
        await seat.press(*"ACME", "enter", *"125", "enter", "right", "right", "enter", "enter")
        assert stage.orders[0][2]["input"] == {"to": "ACME", "amount_minor": 125, "urgent": False}


async def test_wrong_answers_are_told_at_their_fields_and_nothing_is_lost(stage: Stage) -> None:
    agents(stage, treasury=PAYMENT)
    async with stage.console((80, 24)) as seat:
        await seat.press("r", "down", *"12x", "ctrl+s")
        assert front(seat) is TriggerScreen
        shown = seat.text()
        assert "needed: text" in shown
        assert "not a whole number" in shown
        assert "choose one of them" in shown
        assert "12x" in shown
        await seat.press(*"ACME")
        assert "needed: text" not in seat.text()
        await seat.press("down", "backspace", "down", "right", "ctrl+s")
        assert stage.orders[0][2]["input"] == {"to": "ACME", "amount_minor": 12, "urgent": True}


async def test_what_is_written_for_an_agent_waits_while_another_is_chosen(stage: Stage) -> None:
    agents(stage, treasury={"type": "string"}, refunds=PAYMENT)
    async with stage.console() as seat:
        await seat.press("r", *"pay 7", "up", "right")
        assert "Run refunds" in seat.text()
        assert "amount_minor" in seat.text()
        await seat.press("left")
        assert "pay 7" in seat.text()
        await seat.press("ctrl+s")
        assert stage.orders == [("start", None, {"agent": "treasury", "input": "pay 7", "key": None})]


async def test_the_last_agent_is_chosen_again(stage: Stage) -> None:
    agents(stage, treasury={"type": "string"}, refunds={"type": "string"})
    async with stage.console(choices=Choices(inputs={"treasury": "a", "refunds": "b"})) as seat:
        await seat.press("r")
        assert "Run refunds" in seat.text()
        await seat.press("escape", "r", "up", "left", "ctrl+s", "r")
        assert "Run treasury" in seat.text()


async def test_the_form_is_built_anew_when_the_agent_tells_what_it_takes(stage: Stage) -> None:
    stage.edit = lambda scene: replace(scene, manifest=None)
    async with stage.console() as seat:
        await seat.press("r")
        assert "not known yet" in seat.text()
        agents(stage, treasury=PAYMENT)
        await seat.tick()
        assert "amount_minor" in seat.text()
        await seat.press(*"ACME")
        agents(stage, treasury={"type": "string"})
        await seat.tick()
        assert "amount_minor" in seat.text()
        assert "ACME" in seat.text()


async def test_a_remembered_text_is_read_anew_when_its_type_is_known(stage: Stage) -> None:
    stage.edit = lambda scene: replace(scene, manifest=None)
    async with stage.console(choices=Choices(inputs={"treasury": "pay 7"})) as seat:
        await seat.press("r")
        field = seat.app.screen.query_one(TextField)
        assert field.value == '"pay 7"'
        agents(stage, treasury={"type": "string"})
        await seat.tick()
        assert seat.app.screen.query_one(TextField) is field
        assert "input          * pay 7" in seat.text()
        await seat.press("8", "enter")
        assert stage.orders[0][2]["input"] == "pay 78"


async def test_a_text_written_before_the_type_is_known_is_a_text(stage: Stage) -> None:
    stage.edit = lambda scene: replace(scene, manifest=None)
    async with stage.console() as seat:
        await seat.press("r", *"pay ")
        agents(stage, treasury={"type": "string"})
        await seat.tick()
        await seat.press("7", "enter")
        assert stage.orders[0][2]["input"] == "pay 7"


async def test_an_unknown_type_takes_json(stage: Stage) -> None:
    agents(stage, treasury={})
    async with stage.console() as seat:
        await seat.press("r", *"pay", "enter")
        assert "a text needs quotes" in seat.text()
        await seat.press(*["backspace"] * 3, *'{"a":[1]}', "enter")
        assert stage.orders[0][2]["input"] == {"a": [1]}


async def test_a_refused_start_says_why_and_the_input_is_not_lost(stage: Stage) -> None:
    async with stage.console() as seat:
        stage.refuses = "the disk is full"
        await seat.press("r", *"pay 7", "enter")
        assert "the disk is full" in seat.text()
        await seat.press("r")
        assert "pay 7" in seat.text()


async def test_a_paste_is_kept_whole_shown_safely_and_refused_when_too_long(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("r")
        field = seat.app.screen.query_one(TextField)
        field.post_message(events.Paste(f"{HOSTILE}\nsecond line"))
        await seat.pause()
        shown = seat.text()
        assert STAND_IN in shown
        assert "second line" in shown
        assert not any(sign in shown for sign in RAW)
        field.post_message(events.Paste("x" * LIMIT))
        await seat.pause()
        assert "too long here" in seat.text()
        await seat.press("enter")
        assert stage.orders[0][2]["input"] == f"{HOSTILE}\nsecond line"


async def test_hostile_schemas_are_words_on_the_screen(stage: Stage) -> None:
    hostile = {"type": "object", "properties": {HOSTILE: {"type": "string", "description": HOSTILE * 9_000}}}
    agents(stage, **{HOSTILE: hostile, "other": {"enum": [HOSTILE, "b"]}})
    async with stage.console() as seat:
        await seat.press("r")
        shown = seat.text()
        assert "[/]" in shown
        assert not any(sign in shown for sign in RAW)
        await seat.press("up", "right")
        assert not any(sign in seat.text() for sign in RAW)


def test_inputs_are_remembered_by_agent_the_newest_last_and_never_too_much() -> None:
    kept = remember({"a": 1, "b": 2}, "a", 3)
    assert list(kept.items()) == [("b", 2), ("a", 3)]
    assert remember(kept, "a", "x" * REMEMBERED_CHARACTERS) == {"b": 2}
    many: dict[str, Any] = {}
    for number in range(50):
        many = remember(many, f"agent{number}", number)
    assert len(many) < 10
    assert list(many)[-1] == "agent49"


def test_a_text_is_drawn_sign_by_sign() -> None:
    assert visible("a\x1bb\u202ec") == f"a{STAND_IN}b{STAND_IN}c"
    assert visible("e\u0301") == "e\u0301"
    assert len(visible("e" + "\u0301" * 50)) == 51
    assert visible("e" + "\u0301" * 50).count("\u0301") == 3


# --- C, D: a word must be typed -----------------------------------------------------------------------------------


async def test_cancel_needs_the_exact_word(stage: Stage) -> None:
    async with stage.console((80, 24)) as seat:
        await seat.choose("running")
        await seat.press("C")
        assert f"Cancel {stage.named['running']}" in seat.text()
        for wrong in ("Cancel", "cance", "cancel ", ""):
            word = seat.app.screen.query(Input).last()
            word.value = wrong
            seat.app.screen.set_focus(word)
            await seat.press("enter")
            assert front(seat) is ConfirmScreen
            assert "only the word cancel confirms" in seat.text()
        assert stage.orders == []
        seat.app.screen.query(Input).first().value = " wrong invoice "
        seat.app.screen.query(Input).last().value = "cancel"
        seat.app.screen.set_focus(seat.app.screen.query(Input).last())
        await seat.press("enter")
        assert front(seat) is MainScreen
        assert [(act.order.verb, act.order.run_id, act.order.reason) for act in stage.acts] == [
            ("cancel", stage.named["running"], "wrong invoice")
        ]


async def test_stray_keys_and_clicks_never_confirm(stage: Stage) -> None:
    async with stage.console((80, 24)) as seat:
        await seat.choose("running")
        await seat.press("C", "enter", "enter", "y", "enter", "ctrl+s", "space", "tab", "enter", "C", "K", "q", "enter")
        for x, y in ((4, 4), (40, 12), (40, 15), (40, 17), (40, 20), (70, 23)):
            await seat.pilot.click(offset=(x, y))
        assert front(seat) is ConfirmScreen
        await seat.press("escape")
        assert front(seat) is MainScreen
        assert stage.orders == []


async def test_the_dialog_keeps_its_run_whatever_is_selected_later(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("running")
        await seat.press("C")
        await seat.choose("asked")
        await seat.press("enter", *"cancel", "enter")
        assert stage.orders == [("cancel", stage.named["running"], {})]


async def test_the_run_under_the_cursor_counts_before_its_scene_has_come(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("running")
        looked: list[Any] = []
        stage.look = looked.append  # type: ignore[method-assign]
        await seat.press("1", "j", "C")
        assert looked
        assert seat.main.scene.selected is not None
        assert seat.main.scene.selected.run.id == stage.named["running"]
        assert f"Cancel {stage.named['stopped']}" in seat.text()


async def test_an_ended_run_cannot_be_cancelled(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("quiet")
        await seat.press("C")
        assert front(seat) is MainScreen
        assert "has ended (TERMINAL): nothing to cancel" in seat.text()


async def test_without_a_run_there_is_nothing_to_ask(new_project: Stage) -> None:
    async with new_project.console() as seat:
        for key in ("C", "D", "s"):
            await seat.press(key)
            assert front(seat) is MainScreen
            assert "select a run first" in seat.text()


async def test_redrive_is_for_a_stuck_run_only(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("running")
        await seat.press("D")
        assert front(seat) is MainScreen
        assert "is RUNNING, not STUCK" in seat.text()
        await seat.choose("nobody")
        await seat.press("D", *"the bug is fixed", "enter", *"redrive", "enter")
        assert stage.orders == [("redrive", stage.named["nobody"], {})]
        assert stage.acts[0].order.reason == "the bug is fixed"


async def test_a_confirmation_can_demand_a_reason(stage: Stage) -> None:
    answers: list[str | None] = []
    async with stage.console() as seat:
        seat.app.push_screen(ConfirmScreen(HOSTILE, HOSTILE, "go", needs_reason=True), answers.append)
        await seat.pause()
        assert not any(sign in seat.text() for sign in RAW)
        await seat.press("enter", *"go", "enter")
        assert "say why" in seat.text()
        assert answers == []
        await seat.press(*"because", "enter", "enter")
        assert answers == ["because"]


# --- s: settle ----------------------------------------------------------------------------------------------------


async def test_settle_shows_what_is_known_and_confirms_with_a_result(stage: Stage) -> None:
    key = f"{stage.named['nobody']}/1/0/wire_money"
    async with stage.console((80, 40)) as seat:
        await seat.choose("nobody")
        await seat.press("s")
        shown = seat.text()
        assert key in shown
        assert '"amount_minor": 12500' in shown
        assert "N-ask: nobody can be asked" in shown
        assert "body 1 by agent: SIGKILL: killed at effect.acted" in shown
        await seat.press("right", "enter", *'{"id": 1}', "enter", *"seen in the bank", "enter", *"confirm", "enter")
        assert front(seat) is MainScreen
        assert stage.orders == [("resolve", stage.named["nobody"], {"key": key, "how": "confirm", "result": {"id": 1}})]
        assert stage.acts[0].order.reason == "seen in the bank"


@pytest.mark.parametrize(("how", "rights"), [("fail", 2), ("retry", 3)])
async def test_fail_and_retry_take_no_result(stage: Stage, how: str, rights: int) -> None:
    async with stage.console((80, 24)) as seat:
        await seat.choose("nobody")
        await seat.press("s", *["right"] * rights, "enter", *"looked", "enter", *how, "enter")
        assert [(verb, args["how"], args["result"]) for verb, _, args in stage.orders] == [("resolve", how, None)]


async def test_nothing_is_settled_without_choice_reason_result_and_word(stage: Stage) -> None:
    async with stage.console((80, 40)) as seat:
        await seat.choose("nobody")
        await seat.press("s", *["enter"] * 3)
        assert "choose one" in seat.text()
        await seat.press("right", *["enter"] * 4)
        shown = seat.text()
        assert "needed: JSON; null if it returned nothing" in shown
        assert "say why" in shown
        assert "only the word confirm confirms" in shown
        await seat.press(*"{1", "enter", *"x", "enter", *"confirm", "enter")
        assert "not JSON at character 2" in seat.text()
        assert front(seat) is SettleScreen
        await seat.press(*["backspace"] * 2, *"null")
        words = seat.app.screen.query(TextField).last()
        for wrong in ("retry", "Confirm", "confirm "):
            words.value = wrong
            seat.app.screen.set_focus(words)
            await seat.press("enter")
            assert front(seat) is SettleScreen
        assert stage.orders == []
        words.value = "confirm"
        seat.app.screen.set_focus(words)
        await seat.press("enter")
        assert stage.orders[0][2]["result"] is None


async def test_another_choice_needs_its_own_word(stage: Stage) -> None:
    async with stage.console((80, 40)) as seat:
        await seat.choose("nobody")
        await seat.press("s", "right", "right", "enter", *"x", "enter", *"fail", "up", "up", "right", "ctrl+s")
        await seat.press("enter", "enter", "enter")
        assert "only the word retry confirms" in seat.text()
        assert stage.orders == []


async def test_the_effect_under_the_cursor_comes_first_and_is_never_swapped_for_another(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("quiet")
        await seat.press("3", "s")
        assert front(seat) is MainScreen
        assert "1/0/wire_money has ended already: CONFIRMED" in seat.text()
        await seat.press("o")
        stuck = next(at for at, ref in enumerate(seat.main.effects.everywhere) if ref.step == "person")
        seat.main.effects.select(stuck)
        await seat.press("s")
        assert front(seat) is SettleScreen
        assert f"{stage.named['nobody']}/1/0/wire_money" in seat.text()


async def test_an_effect_that_a_reactor_settles_is_not_for_a_person(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("asked")
        await seat.press("3", "s")
        assert front(seat) is MainScreen
        assert "not for a person" in seat.text()
        await seat.press("1", "s")
        assert "has nothing that a person must settle" in seat.text()


async def test_an_effect_whose_need_has_not_come_yet_can_be_settled(stage: Stage) -> None:
    async with stage.console((80, 40)) as seat:
        await seat.choose("nobody")
        put(stage)
        await seat.press("3", "s")
        assert front(seat) is SettleScreen
        assert '"amount_minor": 12500' in seat.text()


async def test_what_is_settled_meanwhile_cannot_be_settled_again(stage: Stage) -> None:
    async with stage.console((80, 40)) as seat:
        await seat.choose("nobody")
        await seat.press("s", "right", "right", "enter", *"x", "enter", *"fail")
        put(stage)
        await seat.pause()
        assert "settled meanwhile" in seat.text()
        await seat.press("enter")
        assert stage.orders == []
        assert front(seat) is SettleScreen


async def test_an_undo_is_settled_without_a_result(stage: Stage) -> None:
    stuck = need(NeedKind.OBLIGATION, run_id=stage.named["undoing"])
    async with stage.console((80, 40)) as seat:
        put(stage, stuck)
        await seat.choose("undoing")
        await seat.press("s", "right")
        assert "the act is undone" in seat.text()
        await seat.press("enter", *"seen", "enter", *"confirm", "enter")
        assert stage.orders == [("resolve", stuck.run_id, {"key": stuck.key, "how": "confirm", "result": None})]


# --- i: the inbox -------------------------------------------------------------------------------------------------


async def test_an_empty_inbox_says_so(new_project: Stage) -> None:
    async with new_project.console((80, 24)) as seat:
        await seat.press("i")
        assert "nothing needs you" in seat.text()
        await seat.press("enter", "s", "D", "C", "o")
        assert front(seat) is InboxScreen
        await seat.press("escape")
        assert front(seat) is MainScreen


async def test_the_inbox_lists_each_kind_with_its_ways_out(stage: Stage) -> None:
    effect, duty = need(), need(NeedKind.OBLIGATION, run_id="r-000000000002")
    stuck = need(NeedKind.RUN, run_id="r-000000000003")
    diverged = need(NeedKind.RUN, run_id="r-000000000004", recorded="wire_money(1)", asked="wire_money(2)")
    conflict = need(NeedKind.CONFLICT, run_id="r-000000000005", evidence={"surplus": 7})
    async with stage.console((80, 40)) as seat:
        put(stage, effect, duty, stuck, diverged, conflict)
        await seat.press("i")
        shown = seat.text()
        assert "5 need you" in shown
        for word in ("effect", "undo", "stuck", "diverged", "conflict"):
            assert word in shown
        assert "enter settle" in shown
        await seat.press("j", "j")
        assert "enter redrive" in seat.text()
        assert "too many crashes" in seat.text()
        await seat.press("j")
        shown = seat.text()
        assert "wire_money(1)" in shown
        assert "wire_money(2)" in shown
        await seat.press("j")
        assert '"surplus": 7' in seat.text()
        assert [ways_of(one)[0] for one in (effect, duty, stuck, diverged, conflict)] == [
            "settle", "settle", "redrive", "redrive", "look",
        ]  # fmt: skip


async def test_enter_opens_the_way_out_and_the_inbox_stays_behind_it(stage: Stage) -> None:
    effect, stuck = need(), need(NeedKind.RUN, run_id="r-000000000003")
    async with stage.console((80, 40)) as seat:
        put(stage, effect, stuck)
        await seat.press("i", "enter")
        assert front(seat) is SettleScreen
        await seat.press("escape")
        assert front(seat) is InboxScreen
        await seat.press("j", "enter", "enter", *"redrive", "enter")
        assert front(seat) is InboxScreen
        await seat.press("C", "enter", *"cancel", "enter")
        assert stage.orders == [("redrive", stuck.run_id, {}), ("cancel", stuck.run_id, {})]
        await seat.press("s")
        assert front(seat) is InboxScreen


async def test_the_cursor_stays_with_its_need_when_others_come_and_go(stage: Stage) -> None:
    first, second = need(run_id="r-000000000001"), need(run_id="r-000000000002")
    async with stage.console((80, 40)) as seat:
        put(stage, first, second)
        await seat.press("i", "j")
        put(stage, need(run_id="r-000000000009"), second)
        await seat.pause()
        await seat.press("enter")
        assert isinstance(seat.app.screen, SettleScreen)
        assert seat.app.screen.need.run_id == second.run_id


async def test_the_inbox_follows_the_journal(stage: Stage, stories: Stories) -> None:
    async with stage.console((80, 40)) as seat:
        await seat.press("i")
        assert "1 needs you" in seat.text()
        fresh = stories.nobody()
        await seat.tick()
        assert "2 need you" in seat.text()
        assert fresh in seat.text()


async def test_a_conflict_leads_to_its_run(stage: Stage) -> None:
    async with stage.console() as seat:
        put(stage, need(NeedKind.CONFLICT, run_id=stage.named["quiet"]))
        await seat.press("i", "enter")
        assert front(seat) is MainScreen
        assert seat.main.scene.selected is not None
        assert seat.main.scene.selected.run.id == stage.named["quiet"]
        assert seat.main.runs.run is not None
        assert seat.main.runs.run.id == stage.named["quiet"]


async def test_hostile_needs_are_words_on_the_screen(stage: Stage) -> None:
    big = HOSTILE + "x" * 1_000_000
    hostile = need(
        agent=HOSTILE,
        key=f"r-000000000001/1/0/{HOSTILE}",
        tool=HOSTILE,
        args={HOSTILE: big},
        evidence=[{"what": HOSTILE, "number": 1, "by": HOSTILE, "how": big, "evidence": big}],
        why=big,
        row=HOSTILE,
        commands=(HOSTILE,),
    )
    async with stage.console((80, 24)) as seat:
        put(stage, hostile, need(NeedKind.RUN, run_id="r-000000000003", recorded=big, asked=big))
        for key in ("i", "tab", "G", "tab", "enter", "escape", "j", "enter"):
            await seat.press(key)
            assert not any(sign in seat.text() for sign in RAW)


def test_both_sides_stand_beside_each_other() -> None:
    rows = text_of(side_by_side("call wire_money(to=ACME)", "call wire_money(to=EMCA) and more words than fit", 41))
    lines = rows.split("\n")
    assert lines[0].split("│")[0].strip() == "recorded"
    assert lines[0].split("│")[1].strip() == "the code"
    assert all(len(line) == 41 and line[20] == "│" for line in lines)
    assert "EMCA" in "".join(line.split("│")[1] for line in lines)


def test_facts_are_as_wide_as_told() -> None:
    told = need(
        why="word " * 90, evidence=[{"what": "look-up", "number": 2, "by": "", "how": None, "evidence": {"a": 1}}]
    )
    rows = facts_rows(told, 40)
    assert all(sum(len(text) for text, _ in row) <= 40 for row in rows)
    assert "look-up 2: it never ended" in text_of(rows)


# --- q: the end ---------------------------------------------------------------------------------------------------


def watch_the_end(seat: Seat) -> list[bool]:
    ends: list[bool] = []
    seat.app.leave = lambda *, drain, code=0: ends.append(drain)  # type: ignore[method-assign]
    return ends


async def test_q_quits_at_once_when_nothing_lives(new_project: Stage) -> None:
    async with new_project.console() as seat:
        ends = watch_the_end(seat)
        await seat.press("q")
        assert ends == [False]


@pytest.mark.parametrize(
    ("keys", "ends"),
    [
        (("enter",), []),
        (("escape",), []),
        (("right", "enter"), [True]),
        (("right", "right", "enter", *"kill", "enter"), [False]),
        (("left", "enter", *"kill", "enter"), [False]),
        (("right", "right", "left", "enter"), [True]),
        (("right", "right", "enter", "enter", "escape"), []),
        (("right", "right", "enter", *"Kill", "enter", "escape"), []),
        (("q", "y", "k", "enter"), []),
    ],
)
async def test_q_asks_while_agents_live(stage: Stage, keys: tuple[str, ...], ends: list[bool]) -> None:
    async with stage.console((80, 24)) as seat:
        told = watch_the_end(seat)
        await seat.press("q")
        assert front(seat) is QuitScreen
        assert "the console stays open" in seat.text()
        await seat.press(*keys)
        assert front(seat) is MainScreen
        assert told == ends


# --- all of them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["r", "a", "C", "s", "i", "q"])
@pytest.mark.parametrize("ascii", [False, True])
async def test_each_dialog_fits_80_by_24_and_is_at_most_76_wide(stage: Stage, key: str, ascii: bool) -> None:
    async with stage.console((80, 24), ascii=ascii) as seat:
        await seat.choose("nobody")
        await seat.press(key)
        assert front(seat) is not MainScreen
        boxes = [box.region for box in seat.app.screen.query(".dialog, .tall")]
        assert boxes
        assert all(box.width <= 76 and box.height <= 24 and box.y >= 0 for box in boxes)
        assert "esc " in seat.text()
        if ascii:
            inside = "".join(line[boxes[0].x : boxes[0].right] for line in seat.lines()[boxes[0].y : boxes[0].bottom])
            assert inside.isascii()


async def test_ctrl_c_twice_kills_from_a_dialog_too(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("running")
        await seat.press("r", "ctrl+c", "ctrl+c")
        assert front(seat) is TriggerScreen
        assert [(verb, run_id) for verb, run_id, _ in stage.orders] == [("kill", stage.named["running"])]


async def test_a_click_chooses(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("q")
        choice = seat.app.screen.query_one(Choice)
        await seat.pilot.click(Choice, offset=(choice.size.width - 1, 0))
        assert choice.index == 0
        await seat.pilot.click(Choice, offset=(12, 0))
        assert choice.options[choice.index or 0] == "drain"
        assert choice.has_focus


def test_more_options_than_fit_are_shown_around_the_chosen_one() -> None:
    choice = Choice([f"option{number}" for number in range(30)], 20)
    line = "".join(text for text, _ in choice.line(40))
    assert "● option20" in line
    assert len(line) <= 40
    assert "● option29" in "".join(text for text, _ in Choice(choice.options, 29).line(40))
    assert "● a" in "".join(text for text, _ in Choice(["a" * 99], 0).line(10))
