"""Proofs at the console: what a child tells, the matrix that shows it, the stories behind its cells."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Static

from tape.core.kernel.points import Death
from tape.lab.proof import Cause, Cell, Mark, Mistake, Place
from tape.tui.ink import width_of
from tape.tui.matrix_rows import cell_rows, label_width, matrix_row, rows_of, slot_columns, whole_rows
from tape.tui.messages import ProofEnded, ProofTold
from tape.tui.proof_state import Phase, ProofState, ended, stopping, summary_text, take
from tape.tui.screens.cell_story import CellStoryScreen
from tape.tui.screens.main import MainScreen
from tape.tui.screens.matrix import MatrixScreen
from tape.tui.screens.prove import ProveScreen
from tests.core.test_render import HOSTILE
from tests.tui import proofs
from tests.tui.stage import Seat, Stage
from tests.tui.test_snapshots import MEDIUM, NARROW, TEXTUAL, WIDE, Compare

SIZES = {"narrow": NARROW, "medium": MEDIUM, "wide": WIDE}
FOUL = "\x1b]52;c;x\x07[/\u202e\u200b漢e[@click=app.quit]x[/]\x9b\n👩\u200d💻" + "".join(HOSTILE.values())[:400]
NEVER = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def told(lines: list[str], state: ProofState | None = None, now_us: int = 0) -> ProofState:
    state = state or ProofState("treasury")
    for line in lines:
        state = take(state, line, now_us)
    return state


# --- what is told -----------------------------------------------------------------------------------------------------


def test_a_proof_line_by_line() -> None:
    known = proofs.recording()
    state = ProofState("")
    assert (summary_text(state), state.under_way) == ("proving: the good run", True)
    state = take(state, known.head[0], 0)
    assert (state.good, state.good_seconds, state.phase) == ("TERMINAL", 0.304, Phase.GOOD)
    state = take(state, known.head[1], 1_000_000)
    assert (state.agent, len(state.places), len(state.cells)) == ("treasury", 14, len(known.cells))
    assert summary_text(state) == f"proving 0/{len(known.cells)}"
    assert state.left_us(3_000_000) is None, "nothing is known yet"
    state = told(known.told(0, 10), state)
    assert summary_text(state) == f"proving 10/{len(known.cells)}"
    assert state.left_us(3_000_000) == 2_000_000 * (len(known.cells) - 10) // 10
    state = told([*known.told(10), known.last], state)
    assert summary_text(state) == f"proved {len(known.cells)}/{len(known.cells)} ✓ 4.1 s"
    assert (state.phase, state.holds, state.left_us(9), state.results[3]) == (
        Phase.PROVED,
        True,
        None,
        known.results[3],
    )
    assert ended(state, 0, "") is state


def test_failures_and_cells_that_were_not_played_are_counted() -> None:
    state = told(proofs.with_failures().lines())
    assert (summary_text(state), state.holds) == (f"3 of {len(state.cells)} ✗", False)
    cells = proofs.plan()
    state = told(proofs.recording({0: proofs.result(cells[0], Mark.MISSED)}).lines())
    assert summary_text(state) == f"proved {len(cells) - 1}/{len(cells)} ✓ 1 – 4.1 s"


def test_the_last_line_alone_says_everything() -> None:
    known = proofs.with_failures()
    assert told([known.last]).results == told(known.lines()).results


def test_second_deaths_come_in_a_second_plan() -> None:
    known = proofs.recording()
    firsts = [cell for cell in known.cells if cell.second is None]
    state = told(proofs.recording(cells=firsts).lines()[:-1], now_us=1_000_000)
    assert summary_text(state) == f"proving {len(firsts)}/{len(firsts)}"
    state = take(state, known.head[1], 9_000_000)
    assert summary_text(state) == f"proving {len(firsts)}/{len(known.cells)}"
    assert state.left_us(9_000_000) == 8_000_000 * (len(known.cells) - len(firsts)) // len(firsts)


def test_a_mistake_in_the_good_run_has_no_cells() -> None:
    known = proofs.recording(cells=(), about_good=(proofs.OTHER,))
    state = told([known.last])
    assert (summary_text(state), state.holds) == ("1 mistake in the good run ✗", False)
    text = "\n".join("".join(text for text, _ in row) for row in whole_rows(state, 70))
    assert "✗ other-result in the good run" in text
    assert "the run ended with another result" in text


@pytest.mark.parametrize(
    "line",
    ["", "no JSON", "[1]", '"word"', "null", '{"plan": {}}', '{"result": {"cell": 3}}', '{"good": 4}', "[" * 9999],
)
def test_a_line_that_is_not_understood_breaks_the_proof(line: str) -> None:
    state = take(told(proofs.recording().head), line, 0)
    assert state.phase is Phase.BROKEN
    assert state.error.startswith("`tape prove` said what this console does not understand: ")
    assert summary_text(state) == "proof failed ✗"


def test_what_a_later_release_says_besides_is_let_by() -> None:
    state = told(proofs.recording().head)
    assert take(state, '{"weather": "fine"}', 0) == state


def test_an_error_is_told_in_its_own_words() -> None:
    state = take(ProofState("treasury"), '{"error": "app.agent: no such module; write one"}', 0)
    assert (state.phase, state.error) == (Phase.BROKEN, "app.agent: no such module; write one")
    assert ended(state, 2, "else") is state


@pytest.mark.parametrize(("code", "how"), [(1, "exit code 1"), (-9, "signal 9")])
def test_an_end_without_a_last_line(code: int, how: str) -> None:
    state = told(proofs.recording().head)
    assert ended(state, code, "boom").error == f"`tape prove` ended before it was through ({how}): boom"
    assert "it said nothing" in ended(state, code, "").error
    stopped = ended(stopping(state), code, "boom")
    assert (stopped.phase, stopped.error) == (Phase.STOPPED, "")
    assert summary_text(stopped) == f"proof stopped at 0/{len(state.cells)}"


def test_a_last_line_of_a_proof_that_was_stopped_proves_nothing() -> None:
    known = proofs.recording()
    part = replace(known.proof, results=known.results[:5])
    state = told([*known.head, *known.told(0, 5)])
    state = take(stopping(state), proofs.line({"proof": proofs.proof_json(part)}), 0)
    assert summary_text(state) == f"proof stopped at 5/{len(known.cells)}"
    assert take(stopping(told(known.head)), '{"error": "interrupted"}', 0).error == ""


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_second_death_stands_in_the_row_of_its_own_place() -> None:
    state = told(proofs.recording().head)
    rows = rows_of(state)
    assert [row.place for row in rows] == [None, *proofs.PLACES, proofs.ASKED, proofs.AGAIN]
    assert [slot.at for slot in rows[-1].slots] == [4, 5]
    assert [slot.at for slot in rows[1].slots] == [0, 1]
    assert sorted(slot.cell.number for row in rows for slot in row.slots) == [cell.number for cell in state.cells]


def test_the_nearest_cell_of_a_row() -> None:
    rows = rows_of(told(proofs.recording().head))
    assert rows[0].nearest(2) is None
    for row, at, found in ((rows[1], 3, 1), (rows[-1], 0, 4), (rows[-1], 9, 5), (rows[4], 2, 2)):
        slot = row.nearest(at)
        assert slot is not None and slot.at == found


@pytest.mark.parametrize("width", [48, 68, 78, 118, 198])
def test_a_row_fits_and_shows_the_chosen_cell(width: int) -> None:
    place = Place("effect.acted", "a_tool_with_quite_a_long_name_" * 3, 1)
    firsts = [Cell(number, place, death) for number, death in enumerate((Death.KILL, Death.LOST))]
    seconds = [Cell(number, proofs.PLACES[0], Death.KILL, place) for number in range(2, 60)]
    known = proofs.recording(places=[place], cells=[*firsts, *seconds])
    state = told(known.lines())
    rows = rows_of(state)
    labels = label_width(rows, width)
    for slot in rows[1].slots:
        row = matrix_row(rows[1], state, labels, width, slot.at)
        assert width_of(row) <= width
        assert "".join(text for text, _ in row).count("[✓]") == 1
        columns = {shown.at: column for shown, column in slot_columns(rows[1], labels, width, slot.at)}
        assert "".join(text for text, _ in row)[columns[slot.at]] == "["


@pytest.mark.parametrize("width", [20, 68, 150])
def test_facts_fit(width: int) -> None:
    state = told(proofs.with_failures(Path("/" + "deep/" * 60), "r-1").lines())
    for cell in state.cells:
        assert all(width_of(row) <= max(width, 20) for row in cell_rows(state, cell, width))
    assert all(width_of(row) <= width for row in whole_rows(state, width))


def test_a_cause_that_is_no_mistake_does_not_look_like_one() -> None:
    state = told(proofs.with_failures().lines())
    text = ["".join(text for text, _ in row) for row in whole_rows(state, 70)]
    assert "✗ acted-twice in 2 cells" in text
    assert "– not-passed in 1 cell" in text


# --- the question -----------------------------------------------------------------------------------------------------


def front(seat: Seat) -> type:
    return type(seat.app.screen)


def says(seat: Seat) -> str:
    """What stands above the questions of a dialog."""
    return str(seat.app.screen.query_one(".says", Static).content)


async def begin(seat: Seat, *lines: str) -> None:
    """A proof that says these lines."""
    seat.stage.proof_lines = list(lines)
    await seat.press("a", "ctrl+s")
    assert front(seat) is MatrixScreen


def state_of(seat: Seat) -> ProofState:
    assert seat.main.proof is not None
    return seat.main.proof


async def whole(seat: Seat, known: proofs.Recording) -> None:
    """The same, to its end."""
    await begin(seat, *known.lines())
    await seat.until(lambda: not state_of(seat).under_way, "the proof is through")


async def test_only_the_key_for_it_begins_a_proof(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("acted")
        await seat.press("a")
        assert front(seat) is ProveScreen
        text = says(seat)
        for words in ("the agent's real tools run many times", "TAPE_UPSTREAM_BANK", "is really called, each time"):
            assert words in text
        await seat.press("enter", "enter")
        assert front(seat) is ProveScreen
        assert "enter alone begins nothing" in seat.text()
        assert stage.proofs == []
        await seat.press("escape")
        assert (front(seat), stage.proofs, seat.main.proof) == (MainScreen, [], None)
        await seat.press("a", "ctrl+s")
        assert [(one.agent, one.value) for one in stage.proofs] == [("treasury", "pay invoice 7")]


async def test_the_input_can_be_another_one(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("acted")
        await seat.press("a", "backspace", "8", "ctrl+s")
        assert [one.value for one in stage.proofs] == ["pay invoice 8"]
        await seat.until(lambda: not state_of(seat).under_way, "a child that says nothing has ended")
        await seat.press("a")
        assert "pay invoice 8" in seat.text(), "what was proved last"


async def test_second_deaths_are_asked_for(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.choose("acted")
        await seat.press("a", "enter", "right", "ctrl+s")
        assert [one.pairs for one in stage.proofs] == [True]
        await seat.until(lambda: not state_of(seat).under_way, "a child that says nothing has ended")
        await seat.press("a", "ctrl+s")
        assert [one.pairs for one in stage.proofs] == [True, False]


async def test_without_a_run_the_input_is_null(new_project: Stage) -> None:
    async with new_project.console() as seat:
        await seat.press("a")
        assert "tape.yaml names no stand-in" in says(seat)
        await seat.press("ctrl+s")
        assert [one.value for one in new_project.proofs] == [None]
    new_project.stop(drain=False)


async def test_the_palette_has_it(stage: Stage) -> None:
    async with stage.console() as seat:
        await seat.press("ctrl+p", *"prove", "enter")
        await seat.until(lambda: front(seat) is ProveScreen, "the question")


# --- the matrix -------------------------------------------------------------------------------------------------------


async def test_a_proof_from_the_first_line_to_the_last(stage: Stage) -> None:
    known = proofs.recording()
    of = len(known.cells)
    async with stage.console() as seat:
        first, then = stage.gate("first"), stage.gate("then")
        await begin(seat, first, *known.head, *known.told(0, 23), then, *known.told(23), known.last)
        assert "proving: the good run" in seat.lines()[0]
        stage.open_gate("first")
        await seat.until(lambda: state_of(seat).done == 23, "23 cells")
        await seat.tick(4)
        assert re.search(rf"▮+▯+ 23/{of}  4 s left", seat.lines()[0])
        assert re.search(r"▸ lease.granted +\[✓\] +✓", seat.text())
        assert re.search(r"run.ending +· +·", seat.text())
        stage.open_gate("then")
        await seat.until(lambda: not state_of(seat).under_way, "the end")
        assert f"proved {of}/{of} ✓ 4.1 s" in seat.lines()[0]
        assert "·" not in "".join(seat.lines()[1:20])


async def test_it_goes_on_in_the_background(stage: Stage) -> None:
    known = proofs.with_failures()
    async with stage.console() as seat:
        await begin(seat, *known.head, *known.told(0, 23), stage.gate(), *known.told(23), known.last, "@exit 1")
        await seat.press("escape")
        assert front(seat) is MainScreen
        await seat.until(lambda: state_of(seat).done == 23, "23 cells")
        assert f"proving 23/{len(known.cells)} 1 ✗  a opens" in seat.of("crash")[0]
        await seat.press("x")
        assert f"proving 23/{len(known.cells)} 1 ✗" in seat.of("crash")[0]
        stage.open_gate()
        await seat.until(lambda: not state_of(seat).under_way, "the end")
        assert f"3 of {len(known.cells)} ✗" in seat.of("crash")[0]
        await seat.until(lambda: "a shows it" in seat.lines()[-1], "the last line says so")
        assert f"treasury: 3 of {len(known.cells)} ✗" in seat.lines()[-1]
        await seat.press("a")
        assert front(seat) is MatrixScreen
        assert len(stage.proofs) == 1


@pytest.mark.parametrize("size", SIZES.values())
async def test_the_crash_pane_has_room_for_it(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.console(size) as seat:
        await seat.choose("acted")
        before = seat.of("crash")
        await whole(seat, proofs.recording())
        await seat.press("escape")
        after = seat.of("crash")
        assert f"proved {len(proofs.plan())}/{len(proofs.plan())} ✓ 4.1 s  a opens" in after[0]
        assert "SIGKILL" in after[0]
        assert after[1:] == before[1:], "no button has moved"


async def test_the_cursor_goes_from_cell_to_cell(stage: Stage) -> None:
    async with stage.console(NARROW) as seat:
        await whole(seat, proofs.with_failures())
        pane = seat.app.screen.query_one("#matrix")
        cell: Any = lambda: pane.cell.label  # type: ignore[attr-defined]  # noqa: E731
        assert cell() == "lease.granted KILL"
        await seat.press("right")
        assert cell() == "lease.granted TERM"
        await seat.press("right", "j", "j", "j")
        assert cell() == "decision.recorded 0 TERM"
        await seat.press("right", "right", "right")
        assert cell() == "decision.recorded 0 LOST"
        await seat.press("down")
        assert cell() == "decision.asking 1 TERM", "the nearest there is"
        await seat.press("G")
        assert cell() == "effect.begun 1/wire_money KILL, then lease.granted #2 KILL"
        await seat.press("right")
        assert cell() == "effect.acted 1/wire_money KILL, then lease.granted #2 KILL"
        assert "2 deaths" in seat.text()
        await seat.press("g")
        assert pane.cell is None  # type: ignore[attr-defined]
        assert "✗ acted-twice in 2 cells" in seat.text()
        await seat.press("enter")
        assert "choose a cell first" in seat.lines()[-1]


async def test_from_failure_to_failure(stage: Stage) -> None:
    async with stage.console(NARROW) as seat:
        await whole(seat, proofs.with_failures())
        seen: list[str] = []
        for key in ("n", "n", "n", "n", "N", "N"):
            await seat.press(key)
            seen.append(seat.app.screen.query_one("#matrix").cell.label)  # type: ignore[attr-defined]
        acted, ending = "effect.acted 1/wire_money", "run.ending KILL"
        assert seen == [f"{acted} KILL", f"{acted} TERM", ending, ending, f"{acted} TERM", f"{acted} KILL"]
        text = re.sub(r"[│┃\s]+", " ", seat.text())
        assert "✗ wrong status TERMINAL after 1 death" in text
        assert "settled observed; 2 acts at the stand-ins, not undone" in text
        assert f"✗ acted-twice {proofs.DOUBLED.sentence}" in text


async def test_a_click_chooses_a_cell_and_two_open_it(stage: Stage) -> None:
    async with stage.console() as seat:
        await whole(seat, proofs.with_failures(stage.config.journal, stage.named["acted"]))
        line = next(y for y, line in enumerate(seat.lines()) if "effect.acted 1" in line)
        column = seat.lines()[line].index("✗")
        await seat.pilot.click("#matrix", offset=(seat.lines()[line].rindex("✗"), line))
        assert "[✗]" in seat.lines()[line][column + 2 :]
        await seat.pilot.click("#matrix", offset=(column, line), times=2)
        await seat.until(lambda: front(seat) is CellStoryScreen, "the story")


async def test_x_stops_it_and_a_begins_anew(stage: Stage) -> None:
    known = proofs.recording()
    async with stage.console() as seat:
        await begin(seat, *known.head, *known.told(0, 7), stage.gate())
        await seat.until(lambda: state_of(seat).done == 7, "7 cells")
        await seat.press("a")
        assert "a proof is under way" in seat.lines()[-1]
        await seat.press("x")
        await seat.until(lambda: not state_of(seat).under_way, "it has stopped")
        assert f"proof stopped at 7/{len(known.cells)}" in seat.lines()[0]
        await seat.press("x")
        assert "no proof is under way" in seat.lines()[-1]
        stage.proof_lines = known.lines()
        await seat.press("a")
        assert front(seat) is ProveScreen
        await seat.press("ctrl+s")
        assert front(seat) is MatrixScreen
        await seat.until(lambda: state_of(seat).phase is Phase.PROVED, "the second proof")
        assert [one.number for one in stage.proofs] == [1, 2]


async def test_what_an_earlier_proof_still_says_is_not_listened_to(stage: Stage) -> None:
    async with stage.console() as seat:
        await begin(seat, *proofs.recording().head, stage.gate())
        await seat.until(lambda: state_of(seat).cells, "the plan")
        seat.main.proof_told(ProofTold(0, '{"error": "of another one"}'))
        seat.main.proof_ended(ProofEnded(0, 1, "of another one"))
        assert state_of(seat).phase is Phase.CELLS


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['{"error": "app.agent: no such module; write one"}', "@exit 2"], "app.agent: no such module; write one"),
        (["@stderr one", "@stderr tape: no such verb", "@exit 2"], "(exit code 2): tape: no such verb"),
        (["what is this"], "does not understand: what is this"),
    ],
)
async def test_a_proof_that_cannot_be_done_says_why(stage: Stage, lines: list[str], said: str) -> None:
    async with stage.console() as seat:
        await begin(seat, *lines)
        await seat.until(lambda: not state_of(seat).under_way, "the end")
        await seat.press("g")
        assert said in re.sub(r"[│┃\s]+", " ", seat.text())
        assert "proof failed ✗" in seat.lines()[0]
        await seat.press("escape")
        assert "proof failed ✗" in seat.of("crash")[0]


# --- a cell's story ---------------------------------------------------------------------------------------------------


def kept(stage: Stage) -> Path:
    """A journal as a proof keeps it, with the ledger of its stand-in beside it."""
    key = f"{stage.named['acted']}/1/0/wire_money"
    acts = [
        {"event": "act", "id": f"w-{at}", "collection": "wires", "key": key, "business_key": None, "at": "now"}
        | {"fencing_token": None, "body": None}
        for at in range(2)
    ]
    (stage.config.journal.parent / "bank.jsonl").write_text("".join(json.dumps(act) + "\n" for act in acts))
    return stage.config.journal


@pytest.mark.parametrize("size", SIZES.values())
async def test_enter_tells_the_story_of_the_cell(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.console(size) as seat:
        await whole(seat, proofs.with_failures(kept(stage), stage.named["acted"]))
        await seat.press("n", "enter")
        await seat.until(lambda: "run_started" in seat.text(), "the story")
        text = re.sub(r"[│┃\s]+", " ", seat.text())
        assert "Story ✗ effect.acted 1/wire_money KILL" in text
        assert "verdict killed → known 2 ms → observed 27 ms → re-driven 39 ms → seq 8; bank saw 2 wires ✗" in text
        assert proofs.DOUBLED.sentence in text
        assert "✗ SIGKILL at effect.acted" in text
        await seat.press("G")
        assert re.search(r"▸ +10 .* run_ended", seat.text())
        await seat.press("escape")
        assert front(seat) is MatrixScreen
        await seat.press("escape")
        assert front(seat) is MainScreen


async def test_a_journal_that_is_gone_is_said(stage: Stage) -> None:
    async with stage.console() as seat:
        await whole(seat, proofs.with_failures(stage.folder / "gone" / "journal.db", "r-1"))
        await seat.press("enter")
        assert "no journal was kept of it" in seat.lines()[-1]
        await seat.press("n", "enter")
        await seat.until(lambda: "gone" in seat.text(), "why there is none")
        assert "reading its journal" not in seat.text()


async def test_a_cell_that_was_not_played_has_no_story(stage: Stage) -> None:
    async with stage.console() as seat:
        await begin(seat, *proofs.recording().head, stage.gate())
        await seat.until(lambda: state_of(seat).cells, "the plan")
        await seat.press("enter")
        assert "it has not been played" in seat.lines()[-1]
        assert "· not played yet" in seat.text()


async def test_s_copies_the_path_of_the_scenario(stage: Stage) -> None:
    async with stage.console() as seat:
        await whole(seat, proofs.with_failures())
        await seat.press("s")
        assert "no scenario file was written for it" in seat.lines()[-1]
        await seat.press("n", "s")
        path = ".tape/proof/effect.acted-wire_money-KILL.yaml"
        assert seat.app.clipboard == path
        assert f"clipboard: {path}" in seat.lines()[-1]


# --- hostile words ----------------------------------------------------------------------------------------------------


def foul_recording(journal: Path) -> proofs.Recording:
    place = Place(f"at:{FOUL}", FOUL, 1)
    cells = [Cell(0, place, Death.KILL), Cell(1, place, Death.LOST), Cell(2, proofs.PLACES[0], Death.KILL, place)]
    cause = Cause(Mistake.DIVERGED, FOUL * 20, FOUL)
    foul: dict[str, Any] = {"status": FOUL, "resolutions": (FOUL,), "run_id": FOUL, "scenario": Path(f"x{FOUL}")}
    results = {cell.number: proofs.result(cell, Mark.WRONG, cause, journal=journal, **foul) for cell in cells}
    return proofs.recording(results, agent=FOUL, notes=[FOUL], places=[place], cells=cells, about_good=[cause])


def check(seat: Seat, size: tuple[int, int]) -> None:
    for line in seat.lines():
        assert not [ascii(sign) for sign in line if unicodedata.category(sign) in NEVER], line
        assert cell_len(line) == size[0], line


@pytest.mark.parametrize("size", [NARROW, MEDIUM, WIDE])
async def test_hostile_words_are_words_on_the_screen(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.console(size) as seat:
        known = foul_recording(stage.config.journal)
        await begin(seat, *known.lines())
        await seat.until(lambda: not state_of(seat).under_way, "the end")
        for keys in ("g", "j", "right", "right", "s", "n", "enter", "escape", "escape"):
            await seat.press(keys)
            check(seat, size)
        stage.proof_lines = [json.dumps({"error": FOUL})]
        await seat.press("a", "a")
        check(seat, size)
        await seat.press("ctrl+s")
        await seat.until(lambda: not state_of(seat).under_way, "the end")
        await seat.press("g")
        check(seat, size)


async def test_in_plain_signs(stage: Stage) -> None:
    async with stage.console(ascii=True) as seat:
        await whole(seat, proofs.with_failures())
        await seat.press("n")
        assert "[x]" in seat.text()
        assert seat.text().isascii()


# --- pictures ---------------------------------------------------------------------------------------------------------

PICTURES = ("asking", "running", "green", "failures", "story")


@pytest.mark.skipif(not version("textual").startswith(f"{TEXTUAL}."), reason=f"taken with Textual {TEXTUAL}")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PICTURES)
def test_how_it_looks(stage: Stage, snap_compare: Compare, name: str, size: str) -> None:
    app = stage.app()

    async def before(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        await _open(Seat(stage, app, pilot), name)

    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)


async def _open(seat: Seat, name: str) -> None:
    stage = seat.stage
    await seat.choose("acted")
    if name == "asking":
        await seat.press("a")
    elif name == "running":
        known = proofs.with_failures()
        await begin(seat, *known.head, *known.told(0, 23), stage.gate())
        await seat.until(lambda: state_of(seat).done == 23, "23 cells")
        await seat.tick(4)
    elif name == "green":
        await whole(seat, proofs.recording())
    else:
        await whole(seat, proofs.with_failures(kept(stage), stage.named["acted"]))
        await seat.press("n")
        if name == "story":
            await seat.press("enter")
            await seat.until(lambda: "run_started" in seat.text(), "the story")
