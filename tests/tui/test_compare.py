"""Two tapes side by side: what counts, how they are aligned, and the screen that shows it."""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tape.core.compare import MOST_ALIGNED, Pair, Record, Same, align
from tape.core.kernel.events import Decision, Entry, RunStarted
from tape.core.marks import Style
from tape.tui.compare_rows import headline, pair_row, pairs_of
from tape.tui.ink import width_of
from tape.tui.screens.compare import CompareScreen
from tests.core.run_book import ACME, RUN, Script, demo, to_effect
from tests.tui.stage import Seat, Stage
from tests.tui.stories import Stories

OTHER = "r-8000000000ff"


def selected(script: Script, *, ended: bool = True) -> Any:
    run = SimpleNamespace(id=script.run_id, ended=ended)
    return SimpleNamespace(run=run, entries=tuple(script.entries))


def of_run(script: Script, run_id: str) -> Script:
    """The same run under another id, an hour later, by other workers."""
    other = Script(run_id)
    for entry in script.entries:
        event: Any = entry.event
        changes: dict[str, Any] = {}
        if hasattr(event, "key"):
            changes["key"] = event.key.replace(RUN, run_id)
        if hasattr(event, "pid"):
            changes["pid"] = event.pid + 1000
        moved = replace(event, **changes)
        whose = run_id if entry.run_id == RUN else entry.run_id
        other.entries.append(
            Entry(entry.id + 500, whose, entry.seq, entry.epoch + 3, entry.at_us + 3_600_000_000, moved)
        )
    return other


def never_killed() -> Script:
    script = to_effect()
    script.end(170, "executed", writer="agent", result={"wire_id": "wires-99"})
    return script.decide(240, 2).finish(245, worker=1, epoch=1)


def compared(left: Any, right: Any) -> tuple[tuple[Pair, ...], str, bool]:
    pairs = pairs_of(left, right)
    text, same = headline(pairs, left, right)
    return pairs, text, same


def test_a_killed_run_is_the_same_as_one_that_was_not() -> None:
    pairs, text, same = compared(selected(demo()), selected(of_run(never_killed(), OTHER)))
    assert same
    assert text == f"same: {len(pairs)} records, the same decisions and effects in the same order"
    assert {pair.same for pair in pairs} == {Same.SAME}
    assert [pair.left.seq for pair in pairs if pair.left] == [*range(1, len(pairs) + 1)]


def test_a_run_that_goes_on_is_the_same_so_far() -> None:
    _, text, same = compared(selected(demo()), selected(of_run(demo(), OTHER), ended=False))
    assert same
    assert text.startswith("same, so far: ")


def test_another_argument_differs() -> None:
    other = of_run(to_effect(args={**ACME, "amount_minor": 1}), OTHER)
    pairs, text, same = compared(selected(to_effect()), selected(other))
    assert not same
    assert [pair.same for pair in pairs] == [Same.SAME] * 5 + [Same.DIFFERS]
    assert text.startswith("same to seq 5, then 1 difference: effect_begun  wire_money(")


@pytest.mark.parametrize("change", [{"reply": "else"}, {"name": "other_model"}, {"error": {"message": "no"}}])
def test_another_decision_differs(change: dict[str, Any]) -> None:
    one, other = demo(), of_run(demo(), OTHER)
    at = next(at for at, entry in enumerate(other.entries) if isinstance(entry.event, Decision))
    other.entries[at] = replace(other.entries[at], event=replace(other.entries[at].event, **change))
    pairs, text, _ = compared(selected(one), selected(other))
    assert [pair.same for pair in pairs].count(Same.DIFFERS) == 1
    assert text.startswith("same to seq 1, then 1 difference: ")


def test_an_effect_that_ended_otherwise_differs() -> None:
    other = to_effect().end(170, "executed", writer="agent", status="FAILED", error={"message": "no funds"})
    one = to_effect().end(170, "executed", writer="agent")
    _, text, same = compared(selected(one), selected(of_run(other, OTHER)))
    assert not same
    assert "same to seq 6" in text


def test_what_only_one_has() -> None:
    shorter = Script().start().attach(10).decide(81, 0)
    pairs, text, _ = compared(selected(demo()), selected(of_run(shorter, OTHER)))
    assert [pair.same for pair in pairs[:3]] == [Same.SAME] * 3
    assert {pair.same for pair in pairs[3:]} == {Same.LEFT}
    assert f"only {RUN} has decision 1" in text
    pairs, text, _ = compared(selected(of_run(shorter, OTHER)), selected(demo()))
    assert {pair.same for pair in pairs[3:]} == {Same.RIGHT}
    assert f"only {RUN} has decision 1" in text


def test_another_input_differs_from_the_start() -> None:
    other = of_run(demo(), OTHER)
    first = other.entries[0]
    assert isinstance(first.event, RunStarted)
    other.entries[0] = replace(first, event=replace(first.event, input="pay invoice 8", actor="somebody"))
    pairs, text, _ = compared(selected(demo()), selected(other))
    assert text.startswith("1 difference from the start: ")
    assert [pair.same for pair in pairs[1:]] == [Same.SAME] * (len(pairs) - 1)


def test_two_runs_without_a_record() -> None:
    _, text, same = compared(selected(Script()), selected(Script(OTHER)))
    assert (text, same) == ("neither has a record yet", True)


def record(seq: int, step: str, meaning: str) -> Record:
    return Record(seq, "·", meaning, Style.PLAIN, step, meaning)


def some(draw: random.Random, count: int) -> tuple[Record, ...]:
    steps = [draw.randrange(6) for _ in range(count)]
    return tuple(record(at + 1, f"s{step}", f"s{step} {draw.randrange(2)}") for at, step in enumerate(steps))


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_lost_and_nothing_changes_its_order(seed: int) -> None:
    draw = random.Random(seed)
    left, right = some(draw, draw.randrange(25)), some(draw, draw.randrange(25))
    pairs = align(left, right)
    assert tuple(pair.left for pair in pairs if pair.left) == left
    assert tuple(pair.right for pair in pairs if pair.right) == right
    for pair in pairs:
        if pair.left and pair.right:
            assert (pair.same is Same.SAME) == (pair.left.meaning == pair.right.meaning)
            assert pair.left.step == pair.right.step
        else:
            assert pair.same is (Same.LEFT if pair.left else Same.RIGHT)


def test_long_tapes_do_not_hold_the_screen_up() -> None:
    size = MOST_ALIGNED * 4
    left = tuple(record(at, f"s{at}", f"a{at}") for at in range(size))
    right = tuple(record(at, f"s{at}", f"b{at}") for at in range(size))
    pairs = align(left, right)
    assert len(pairs) == size
    assert {pair.same for pair in pairs} == {Same.DIFFERS}


@pytest.mark.parametrize("width", [40, 79, 120, 201])
def test_a_row_fills_its_width(width: int) -> None:
    wide = record(1, "s", "漢字" * 200)
    for pair in (Pair(wide, wide, Same.SAME), Pair(None, wide, Same.RIGHT), Pair(wide, None, Same.LEFT)):
        assert width_of(pair_row(pair, width)) == width


# --- at the screen --------------------------------------------------------------------------------------------------


async def open_on(seat: Seat, left: str, right: str) -> CompareScreen:
    for story in (left, right):
        await seat.choose(story)
        await seat.tick()
        await seat.press("equals_sign")
    assert isinstance(seat.app.screen, CompareScreen)
    return seat.app.screen


async def test_the_first_press_marks_and_the_second_on_the_same_run_unmarks(stage: Stage) -> None:
    async with stage.console() as seat:
        run = seat.main.runs.run
        assert run
        await seat.press("equals_sign")
        assert f"{run.id} is one side" in seat.lines()[-1]
        await seat.press("equals_sign")
        assert f"{run.id} is no longer one side" in seat.lines()[-1]
        assert seat.main.view.other is None


async def test_both_tapes_are_shown_and_let_go(stage: Stage) -> None:
    async with stage.console() as seat:
        screen = await open_on(seat, "quiet", "acted")
        assert seat.main.view.other == stage.named["quiet"]
        text = seat.text()
        assert f"{stage.named['quiet']} with {stage.named['acted']}" in text
        assert "same: " in text
        assert len(screen.pane.pairs) >= 9
        await seat.press("escape")
        assert seat.app.screen is seat.main
        assert (seat.main.view.other, seat.main.view.run_id) == (None, stage.named["acted"])
        assert stage.scene.other is None


async def test_differences_are_gone_to(stage: Stage) -> None:
    async with stage.console((80, 24)) as seat:
        screen = await open_on(seat, "acted", "failed")
        places = [at + 2 for at, pair in enumerate(screen.pane.pairs) if pair.same is not Same.SAME]
        assert places
        await seat.press("n")
        assert screen.pane.cursor == places[0]
        await seat.press("G")
        assert screen.pane.cursor == len(screen.pane.pairs) + 1
        await seat.press("g", "j")
        assert screen.pane.cursor == 1


async def test_a_run_that_goes_on_is_followed(stage: Stage, stories: Stories) -> None:
    async with stage.console() as seat:
        screen = await open_on(seat, "acted", "running")
        before = len([pair for pair in screen.pane.pairs if pair.right])
        run_id = stage.named["running"]
        stories.decide(run_id, stories.run_row(run_id)["epoch"], 1, {"say": "more"})
        await seat.tick()
        assert len([pair for pair in screen.pane.pairs if pair.right]) > before


async def test_a_new_run_does_not_take_a_side(stage: Stage, stories: Stories) -> None:
    async with stage.console() as seat:
        screen = await open_on(seat, "quiet", "acted")
        stories.story("new", stories.running)
        await seat.tick()
        assert screen.pane.sides and screen.pane.sides[1].run.id == stage.named["acted"]
        assert seat.main.view.run_id == stage.named["acted"]
