"""The matrix of a proof as rows: places down, deaths across, one sign a cell; and what is known of one cell. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tape.core.kernel.points import Death
from tape.core.text import cells as cells_of
from tape.core.text import count, duration, fit, show
from tape.tui.ink import Ink, Row, Span, bar
from tape.tui.json_rows import text_rows
from tape.tui.proof_state import Phase, ProofState, summary_text

if TYPE_CHECKING:
    from tape.lab.proof import Cause, Cell, Place

COLUMNS = ("KILL", "TERM", "STOP", "LOST", "2nd")
_DEATHS = tuple(Death(name) for name in COLUMNS[:-1])
SECOND = len(COLUMNS) - 1
COLUMN_WIDTH, SECOND_WIDTH = 6, 3
LEAST_LABEL, MOST_LABEL = 16, 48
BAR_CELLS = 10
NAME_WIDTH = 10
OPEN = "·"
_INKS = {"holds": Ink.SUCCESS, "person": Ink.WARNING, "wrong": Ink.ERROR, "missed": Ink.MUTED}
_WORDS = {
    "holds": "holds: as the run without a death",
    "person": "holds: what only a person can know was asked of one",
    "wrong": "wrong",
    "missed": "not played: the death did not come to pass",
}


@dataclass(frozen=True, slots=True)
class Slot:
    """A cell with its place in the row: 0 to 3 are the deaths, from `SECOND` on second deaths, side by side."""

    at: int
    cell: Cell


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One place with its cells; `place` is None in the first row, which stands for the good run and the whole."""

    place: Place | None
    slots: tuple[Slot, ...]

    def nearest(self, at: int) -> Slot | None:
        return min(self.slots, key=lambda slot: (abs(slot.at - at), slot.at), default=None)


def rows_of(state: ProofState) -> tuple[MatrixRow, ...]:
    """The good run, its places in their order, then those that are passed in a recovery only. A second death stands in
    the row of its own place."""
    found: dict[Place, list[Cell]] = {place: [] for place in state.places}
    for cell in state.cells:
        found.setdefault(cell.place if cell.second is None else cell.second, []).append(cell)
    rows = [MatrixRow(None, ())]
    for place, cells in found.items():
        firsts = {cell.death: cell for cell in cells if cell.second is None}
        slots = [Slot(at, firsts[death]) for at, death in enumerate(_DEATHS) if death in firsts]
        seconds = (cell for cell in cells if cell.second is not None)
        rows.append(MatrixRow(place, (*slots, *(Slot(SECOND + at, cell) for at, cell in enumerate(seconds)))))
    return tuple(rows)


def label_width(rows: Sequence[MatrixRow], width: int) -> int:
    """How wide the places' names stand in this width."""
    wanted = max((cells_of(_label(row)) for row in rows), default=0)
    most = width - 3 - SECOND * COLUMN_WIDTH - 2 * SECOND_WIDTH
    return max(LEAST_LABEL, min(wanted, most, MOST_LABEL))


def _label(row: MatrixRow) -> str:
    return "good run" if row.place is None else show(row.place.label, 120)


def head_row(labels: int) -> Row:
    return ((" " * (labels + 3) + "".join(name.ljust(COLUMN_WIDTH) for name in COLUMNS), Ink.HEAD),)


def slot_columns(row: MatrixRow, labels: int, width: int, chosen: int | None) -> tuple[tuple[Slot, int], ...]:
    """Each slot that has room with the column it begins in; of many second deaths those around the chosen one."""
    start = labels + 2
    fits = max(1, (width - start - SECOND * COLUMN_WIDTH) // SECOND_WIDTH)
    first = max(0, (chosen or 0) - SECOND - fits + 1)
    placed: list[tuple[Slot, int]] = []
    for slot in row.slots:
        number = slot.at - SECOND
        if number < 0:
            placed.append((slot, start + slot.at * COLUMN_WIDTH))
        elif first <= number < first + fits:
            placed.append((slot, start + SECOND * COLUMN_WIDTH + (number - first) * SECOND_WIDTH))
    return tuple(placed)


def matrix_row(row: MatrixRow, state: ProofState, labels: int, width: int, chosen: int | None) -> Row:
    """`▸ effect.acted 1/wire_money  [✓]   ✓     ✗     ·     ✓  ✗`; `chosen` is the slot under the cursor, None in the
    other rows."""
    here = chosen is not None
    spans: list[Span] = [
        ("▸ " if here else "  ", Ink.STRONG),
        (fit(_label(row), labels), Ink.STRONG if here else Ink.PLAIN),
    ]
    if row.place is None:
        return (*spans, (" ", Ink.PLAIN), *_good_run(state))
    used = labels + 2
    for slot, column in slot_columns(row, labels, width, chosen):
        sign, ink = mark_of(state, slot.cell)
        spans.append((" " * (column - used), Ink.PLAIN))
        if slot.at == chosen:
            spans += [("[", Ink.CURSOR), (sign, ink), ("]", Ink.CURSOR)]
        else:
            spans += [(" ", Ink.PLAIN), (sign, ink), (" ", Ink.PLAIN)]
        used = column + SECOND_WIDTH
    return tuple(spans)


def mark_of(state: ProofState, cell: Cell) -> Span:
    """The sign of a cell; `·` while it has not been played."""
    result = state.results.get(cell.number)
    return (OPEN, Ink.DIM) if result is None else (result.mark.glyph, _INKS[result.mark])


def _good_run(state: ProofState) -> Row:
    if not state.good:
        return (("…" if state.under_way else OPEN, Ink.MUTED),)
    found = state.summary is not None and any(not cells for _, cells in state.summary.causes)
    fine = state.good == "TERMINAL" and not found
    boundaries = f"  {count(len(state.places), 'boundary', 'boundaries')}" if state.places else ""
    taken = f"  {duration(int(state.good_seconds * 1_000_000))}" if state.good_seconds else ""
    sign: Span = ("✓ ", Ink.SUCCESS) if fine else ("✗ ", Ink.ERROR)
    return (sign, (f"{show(state.good, 20)}{boundaries}{taken}", Ink.MUTED))


def progress(state: ProofState, now_us: int) -> Row:
    """`▮▮▮▮▯▯▯▯▯▯ 23/52  2 ✗  5 s left`."""
    ink = Ink.PRIMARY if state.under_way else Ink.SUCCESS if state.holds else Ink.ERROR
    if state.phase is not Phase.CELLS or not state.cells:
        return ((summary_text(state), Ink.WARNING if state.phase is Phase.STOPPED else ink),)
    row: list[Span] = [
        (f"{bar(state.done / len(state.cells), BAR_CELLS)} ", ink),
        (f"{state.done}/{len(state.cells)}", Ink.STRONG),
    ]
    if state.wrong:
        row.append((f"  {state.wrong} ✗", Ink.ERROR))
    left = state.left_us(now_us)
    if left is not None:
        row.append((f"  {duration(-(-left // 1_000_000) * 1_000_000) if left else '0 s'} left", Ink.MUTED))
    return tuple(row)


# --- what is known ------------------------------------------------------------------------------------------------


def cell_rows(state: ProofState, cell: Cell, width: int) -> list[Row]:
    """One cell: how it came out, how what was open was settled, and what is wrong in whole sentences."""
    result = state.results.get(cell.number)
    if result is None:
        return text_rows(f"{OPEN} {'not played yet' if state.under_way else 'not played'}", width, Ink.MUTED)
    mark = result.mark
    rows = text_rows(f"{mark.glyph} {_WORDS[mark]}", width, _INKS[mark])
    taken = duration(int(result.seconds * 1_000_000))
    rows += _named("status", f"{result.status or '–'} after {count(result.kills, 'death')}, {taken}", width)
    settled = ", ".join(result.resolutions) or "nothing was open"
    rows += _named("settled", f"{settled}; {count(result.acts, 'act')} at the stand-ins, not undone", width)
    for cause in result.causes:
        rows += _cause(f"{mark.glyph} {cause.mistake}", cause.sentence, _INKS[mark], width)
    if result.scenario is not None:
        rows += _named("scenario", str(result.scenario), width)
    return rows


def whole_rows(state: ProofState, width: int) -> list[Row]:
    """The proof as a whole: what failed, each cause once with how many cells show it, and what was not looked at."""
    rows: list[Row] = text_rows(summary_text(state), width, Ink.STRONG)
    if state.error:
        rows += text_rows(f"✗ {state.error}", width, Ink.ERROR)
    if state.phase is Phase.GOOD:
        rows += text_rows("first the run without a death: it shows the boundaries", width, Ink.MUTED)
    if state.summary is not None:
        for cause, cells in state.summary.causes:
            where = count(cells, "cell") if cells else "the good run"
            sign, ink = _worst(state, cause)
            rows += _cause(f"{sign} {cause.mistake} in {where}", cause.sentence, ink, width)
        for note in state.summary.notes:
            rows += text_rows(f"· {note}", width, Ink.MUTED)
    return rows


def _worst(state: ProofState, cause: Cause) -> Span:
    """The sign of the worst cell that shows it; one of the good run's own is wrong."""
    marks = {result.mark for result in state.results.values() if cause in result.causes}
    worst = next((mark for mark in ("missed", "person") if marks == {mark}), "wrong")
    glyph = next((mark.glyph for mark in marks if mark == worst), "✗")
    return glyph, _INKS[worst]


def _cause(head: str, sentence: str, ink: Ink, width: int) -> list[Row]:
    return [*text_rows(head, width, ink), *(((("  ", Ink.PLAIN), *row)) for row in text_rows(sentence, width - 2))]


def _named(name: str, text: str, width: int) -> list[Row]:
    """A name, and its text beside it in as many lines as it takes."""
    lines = text_rows(text, max(10, width - NAME_WIDTH))
    return [((fit(name if not at else "", NAME_WIDTH), Ink.MUTED), *line) for at, line in enumerate(lines)]


def proof_span(state: ProofState) -> Span:
    """The crash pane's words for it."""
    ink = Ink.PRIMARY if state.under_way else Ink.SUCCESS if state.holds else Ink.ERROR
    return (summary_text(state), Ink.WARNING if state.phase is Phase.STOPPED else ink)
