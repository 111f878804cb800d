"""Gates in the inbox: the exact call and its hash in sight, an option chosen, the word typed, one order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tape.core.journal.shapes import Need, NeedKind
from tape.tui.screens.answer import AnswerScreen
from tape.tui.screens.facts import facts_rows
from tape.tui.screens.inbox import InboxScreen
from tape.tui.screens.main import MainScreen
from tests.core.test_render import HOSTILE
from tests.tui.stage import Stage
from tests.tui.test_dialogs import front, put, text_of

pytestmark = pytest.mark.asyncio
RUN = "r-000000000001"
HASH = "0123456789abcdef0123456789abcdef"


def gate(**changes: Any) -> Need:
    plain = Need(
        kind=NeedKind.GATE,
        run_id=RUN,
        agent="buyer",
        key="gate pay 0",
        tool="wire_money",
        args={"to": "ACME", "amount_minor": 12500},
        evidence=None,
        why="Wire 125.00 to ACME?",
        row="",
        commands=(f"tape answer {RUN} pay approve --ordinal 0 --reason TEXT",),
        since_us=1_800_000_000_000_000,
        gate="pay",
        ordinal=0,
        prompt="Wire 125.00 to ACME?",
        options=("approve", "deny"),
        args_hash=HASH,
        deadline_us=1_800_000_600_000_000,
        on_timeout="deny",
    )
    return replace(plain, **changes)


async def test_the_whole_question_is_in_sight(stage: Stage) -> None:
    shown = text_of(facts_rows(gate(), 100))
    for part in ("gate pay 0", "Wire 125.00 to ACME?", f"arguments of wire_money  #{HASH}", '"amount_minor": 12500'):
        assert part in shown
    assert "waits until 2027-01-15T08:10:00Z, then the answer is deny" in shown
    assert "then the agent gets GateTimeout" in text_of(facts_rows(gate(on_timeout=None), 100))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_an_answer_is_chosen_typed_and_one_order(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.console(size) as seat:
        put(stage, gate())
        await seat.pause()
        await seat.press("i")
        assert front(seat) is InboxScreen
        assert "enter answer" in seat.text()
        await seat.press("enter")
        assert front(seat) is AnswerScreen
        await seat.press("right")
        if size[1] >= 40:
            assert "approves this one call, #01234567, and no other" in seat.text()
        await seat.press("enter", *"as agreed", "enter", *"approve", "enter")
        assert front(seat) is InboxScreen
        assert stage.orders == [("answer", RUN, {"gate": "pay", "ordinal": 0, "value": "approve"})]


async def test_no_stray_key_answers(stage: Stage) -> None:
    async with stage.console((120, 40)) as seat:
        put(stage, gate())
        await seat.pause()
        await seat.press("i", "a", *["enter"] * 3)
        assert "choose one" in seat.text()
        await seat.press("right", "right", *["enter"] * 3)
        assert "only the word deny confirms" in seat.text()
        await seat.press(*"approve", "enter")
        assert "only the word deny confirms" in seat.text()
        await seat.press("escape", "escape")
        assert front(seat) is MainScreen
        assert stage.orders == []


async def test_s_on_the_run_that_waits_asks_its_gate(stage: Stage) -> None:
    async with stage.console((120, 40)) as seat:
        await seat.choose("nobody")
        put(stage, gate(run_id=stage.named["nobody"]))
        await seat.pause()
        await seat.press("s")
        assert front(seat) is AnswerScreen


async def test_what_is_answered_meanwhile_is_not_answered_again(stage: Stage) -> None:
    async with stage.console((120, 40)) as seat:
        put(stage, gate(), gate(run_id="r-000000000002"))
        await seat.pause()
        await seat.press("i", "enter", "right", "enter", "enter", *"approve")
        put(stage, gate(run_id="r-000000000002"))
        await seat.pause()
        assert "answered meanwhile" in seat.text()
        await seat.press("enter")
        assert front(seat) is AnswerScreen
        assert stage.orders == []


@pytest.mark.parametrize("text", ["[@click=app.quit]x[/]", *list(HOSTILE.values())[:4]])
async def test_hostile_words_are_shown_and_nothing_more(stage: Stage, text: str) -> None:
    async with stage.console((120, 40)) as seat:
        put(stage, gate(options=(text or "x", "no"), prompt=text, why=text, gate=text, tool=text, args={"a": text}))
        await seat.pause()
        await seat.press("i", "enter", "right", "right")
        assert front(seat) is AnswerScreen
        await seat.press("enter", "enter", *"no", "enter")
        assert [args["value"] for _, _, args in stage.orders] == ["no"]
