"""Child runs under their parents in the list: the rows, and what a thousand children and many families cost."""

from __future__ import annotations

import time
from array import array

import pytest

from tape.core.journal.shapes import RunView
from tape.core.journal.views import open_reader
from tape.tui.feed.run_list import RunLists
from tape.tui.feed.tree import OPEN_ROOTS, SMALL_FAMILY, Tree, ancestors
from tape.tui.scene import RunList, View
from tests.tui.kin_stories import Kin
from tests.tui.stage import Stage

NOTHING: frozenset[int] = frozenset()


def grown(*batches: dict[int, int | None]) -> Tree:
    """Runs by number with their parents' numbers, in batches."""
    tree, known = Tree(), array("q")
    for batch in batches:
        new = array("q", batch)
        known = known + new
        tree.take(new, {number: parent for number, parent in batch.items() if parent is not None}, known)
    return tree


def shown(tree: Tree, opened: frozenset[int] = NOTHING, closed: frozenset[int] = NOTHING) -> list[str]:
    """The rows from the top, children indented."""
    rows = tree.rows(opened, closed)
    return ["." * rows.depths.get(number, 0) + str(number) for number in reversed(rows.numbers)]


def test_children_stand_under_their_parent_in_their_order() -> None:
    tree = grown({1: None, 2: 1, 3: None, 4: 1, 5: 2}, {6: None, 7: 3, 8: 5})
    assert shown(tree) == ["6", "3", ".7", "1", ".2", "..5", "...8", ".4"]
    assert shown(tree, closed=frozenset({1})) == ["6", "3", ".7", "1"]
    assert shown(tree, closed=frozenset({2, 3})) == ["6", "3", "1", ".2", ".4"]
    assert ancestors(tree.parents, 8) == [5, 2, 1]


def test_a_child_of_a_run_that_is_not_there_stands_by_itself() -> None:
    assert shown(grown({5: 2, 6: None})) == ["6", "5"]


def test_a_large_family_is_closed_until_it_is_opened() -> None:
    tree = grown({1: None, **dict.fromkeys(range(2, SMALL_FAMILY + 3), 1)})
    assert shown(tree) == ["1"]
    assert shown(tree, opened=frozenset({1}))[1] == ".2"


def test_only_the_newest_roots_show_their_children_by_themselves() -> None:
    roots = {number: None for number in range(1, 2 * (OPEN_ROOTS + 1), 2)}
    tree = grown({number: number - 1 if number % 2 == 0 else None for number in range(1, 2 * OPEN_ROOTS + 3)})
    assert len(tree.rows(NOTHING, NOTHING).numbers) == len(roots) + OPEN_ROOTS
    opened = tree.rows(frozenset({1}), NOTHING)
    assert list(opened.numbers)[:2] == [2, 1]


@pytest.mark.parametrize("opened", [NOTHING, frozenset({301})])
def test_every_row_is_found_again(opened: frozenset[int]) -> None:
    tree = grown({number: None if number % 3 else max(1, number - 2) for number in range(1, 601)})
    rows = tree.rows(opened, NOTHING)
    runs = RunList(numbers=rows.numbers, length=len(rows.numbers), parents=tree.parents, places=rows.places)
    assert [runs.find(number) for number in reversed(rows.numbers)] == list(range(len(rows.numbers)))
    assert runs.find(601) is None


def test_a_hundred_thousand_families_and_a_thousand_children_cost_little() -> None:
    """Rows made, not seconds: the tail is all that is made anew. The seconds are a wide margin for a busy machine."""
    runs: dict[int, int | None] = {number: number - 1 if number % 2 == 0 else None for number in range(1, 200_001)}
    tree = grown(runs, {200_001: None}, dict.fromkeys(range(200_002, 201_002), 200_001))
    begun = time.perf_counter()
    plain = tree.rows(NOTHING, NOTHING)
    assert len(plain.places) < 3 * OPEN_ROOTS
    opened = tree.rows(frozenset({200_001}), NOTHING)
    assert len(opened.numbers) - len(plain.numbers) == 1_000
    assert len(opened.places) < 1_000 + 3 * OPEN_ROOTS
    assert time.perf_counter() - begun < 0.5


def test_the_list_reads_children_once_and_goes_on(stage: Stage, kin: Kin) -> None:
    parent, started = kin.family(3)
    with open_reader(stage.config.journal) as reader:
        lists = RunLists(reader, stage.clock)
        lists.note(reader.entries())
        ids = [run.id for run in _top(lists.make(View(), {}, {}, False))]
        assert ids[:4] == [parent, *started]
        cursor = reader.last_id()
        other, more = kin.family(2)
        lists.note(reader.entries(after=cursor))
        made = lists.make(View(), {}, {}, False)
        assert [run.id for run in _top(made)][:7] == [other, *more, parent, *started]
        assert made.deepest == 1
        flat = lists.make(View(sort="oldest"), {}, {}, False)
        assert (flat.parents, flat.depths, flat.length) == ({}, {}, made.length)


def _top(runs: RunList) -> list[RunView]:
    return [run for run in map(runs.at, range(runs.length)) if run is not None]


# --- on the screen --------------------------------------------------------------------------------------------------


async def test_the_family_folds_and_the_cursor_goes_with_it(stage: Stage, kin: Kin) -> None:
    parent, started = kin.family(2)
    async with stage.console() as seat:
        await seat.press("f", "g")
        rows = seat.of("runs")
        assert f"⊟ {parent}" in rows[2] and f"└ {started[0]}" in rows[3] and f"└ {started[1]}" in rows[4]
        assert "2 children, 1 o" in rows[2]
        await seat.press("right")
        assert seat.main.view.run_id == started[0]
        await seat.press("left", "left")
        assert seat.main.view.run_id == parent
        assert f"⊞ {parent}" in seat.of("runs")[2] and started[0] not in seat.text().split("2 Tape")[0]
        await seat.press("right", "j", "j")
        assert seat.main.view.run_id == started[1]


async def test_a_thousand_children_stay_folded_and_open_in_a_moment(stage: Stage, kin: Kin) -> None:
    parent, started = kin.family(1_000)
    async with stage.console() as seat:
        await seat.press("f", "g")
        assert "1000 children" in seat.of("runs")[2]
        drawn = seat.drawn()["runs"]
        begun = time.perf_counter()
        await seat.press("right")
        took = time.perf_counter() - begun
        assert seat.main.runs.count() == 12 + 1 + 1_000
        assert seat.drawn()["runs"] - drawn <= 3 * seat.main.runs.size.height, "only what is on screen is drawn"
        await seat.press("G", "g", "right")
        assert seat.main.view.run_id == started[0]
        assert took < 5, "a second on an idle machine"
        await seat.press("left", "left", "k")
        stage.named["child"] = started[700]
        await seat.choose("child")
        assert seat.main.runs.run is not None and seat.main.runs.run.id == started[700], "its family is opened for it"
        assert seat.main.runs.run.parent == parent
