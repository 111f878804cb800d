"""The matrix of a proof: every place and every death, each cell with what came of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.screen import ModalScreen

from tape.core.text import show
from tape.tui.ink import Ink, Row
from tape.tui.matrix_rows import (
    SECOND_WIDTH,
    MatrixRow,
    Slot,
    cell_rows,
    head_row,
    label_width,
    matrix_row,
    progress,
    rows_of,
    slot_columns,
    whole_rows,
)
from tape.tui.pane import Pane
from tape.tui.panes.top import KeyLine
from tape.tui.plan import WIDE_FROM
from tape.tui.proof_state import Phase, ProofState

if TYPE_CHECKING:
    from tape.lab.proof import Cell

KEYS = (("enter", "story"), ("n", "next ✗"), ("s", "scenario"), ("x", "stop"), ("a", "again"), ("esc", "back"))
NOTHING = "choose a cell first"


class MatrixPane(Pane):
    """Rows are places; the cursor stands on one cell of its row and keeps its column where it can."""

    name_shown = "Prove"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "left", show=False),
        Binding("right,l", "step(1)", "right", show=False),
        Binding("n", "next_wrong(1)", "next failure", show=False),
        Binding("N", "next_wrong(-1)", "failure before", show=False),
    ]

    class Stepped(Message):
        """Another cell of the same row."""

    def __init__(self, state: ProofState, now_us: int, *, id: str) -> None:
        super().__init__(id=id)
        self.state = state
        self.now_us = now_us
        self.column = 0
        self._rows = rows_of(state)
        self._planned = state.places, state.cells
        self._labels = (-1, 0)

    def show_state(self, state: ProofState, now_us: int) -> None:
        self.state, self.now_us = state, now_us
        if self._planned != (state.places, state.cells):
            self._planned = state.places, state.cells
            self._rows = rows_of(state)
            self._labels = (-1, 0)
            if self.cursor == 0 and len(self._rows) > 1:
                self.select(1, by_hand=False)
        self.redraw()

    # --- what it shows ------------------------------------------------------------------------------------------

    def title(self) -> str:
        return f"Prove {show(self.state.agent, 24)}"

    def info(self) -> Row:
        return progress(self.state, self.now_us)

    def head(self, width: int) -> Row | None:
        return head_row(self._label_width(width))

    def _label_width(self, width: int) -> int:
        if self._labels[0] != width:
            self._labels = (width, label_width(self._rows, width))
        return self._labels[1]

    def count(self) -> int:
        return len(self._rows)

    def row(self, index: int, width: int) -> Row:
        row = self._rows[index]
        slot = self._slot(row) if index == self.cursor else None
        chosen = None if index != self.cursor else -1 if slot is None else slot.at
        return matrix_row(row, self.state, self._label_width(width), width, chosen)

    def key_of(self, index: int) -> Hashable | None:
        return self._rows[index].place if 0 <= index < len(self._rows) else None

    def _body(self, y: int) -> tuple[Row, bool]:
        """The cursor is a cell: its row looks like the others."""
        return super()._body(y)[0], False

    # --- the cursor ---------------------------------------------------------------------------------------------

    def _slot(self, row: MatrixRow) -> Slot | None:
        return row.nearest(self.column)

    @property
    def cell(self) -> Cell | None:
        """The cell under the cursor; None on the first row."""
        slot = self._slot(self._rows[self.cursor]) if self.cursor < len(self._rows) else None
        return slot.cell if slot is not None else None

    def choose(self, index: int, column: int) -> None:
        self.column = column
        self.select(index)
        self.redraw()
        self.post_message(self.Stepped())

    def action_step(self, by: int) -> None:
        slots = self._rows[self.cursor].slots
        here = self._slot(self._rows[self.cursor])
        if here is None:
            return
        at = slots.index(here) + by
        if 0 <= at < len(slots):
            self.choose(self.cursor, slots[at].at)

    def action_next_wrong(self, by: int) -> None:
        """To the next cell that came out wrong, row by row."""
        places = [(index, slot.at) for index, row in enumerate(self._rows) for slot in row.slots if self._wrong(slot)]
        row = self._rows[self.cursor]
        slot = self._slot(row)
        here = (self.cursor, slot.at if slot is not None else -1)
        ahead = [place for place in places if (place > here if by > 0 else place < here)]
        if ahead:
            self.choose(*(ahead[0] if by > 0 else ahead[-1]))

    def _wrong(self, slot: Slot) -> bool:
        from tape.lab.proof import Mark

        result = self.state.results.get(slot.cell.number)
        return result is not None and result.mark is Mark.WRONG

    def on_click(self, event: events.Click) -> None:
        index = self.top + event.y - self.rows_top
        if self.rows_top <= event.y < self.size.height - 1 and index < len(self._rows):
            event.stop()
            row, width = self._rows[index], self.inner_width
            chosen = self.column if index == self.cursor else None
            for slot, column in slot_columns(row, self._label_width(width), width, chosen):
                if column <= event.x - 1 < column + SECOND_WIDTH:
                    self.column = slot.at
            self.choose(index, self.column)
            if event.chain >= 2:
                self.action_open()


class CellPane(Pane):
    """What is known of the chosen cell, or of the whole."""

    has_cursor = False

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._make: Callable[[int], list[Row]] = lambda width: []
        self._rows: list[Row] = []
        self._name = ""

    def tell(self, name: str, make: Callable[[int], list[Row]]) -> None:
        """`make` gives the lines for a width."""
        if name != self._name:
            self.top, self._name = 0, name
        self._make = make
        self._fill()
        self.redraw()

    def fit(self) -> None:
        self._fill()
        super().fit()

    def _fill(self) -> None:
        self._rows = self._make(max(20, self.inner_width - 2))

    def title(self) -> str:
        return show(self._name, 160)

    def count(self) -> int:
        return len(self._rows)

    def row(self, index: int, width: int) -> Row:
        del width
        return ((" ", Ink.PLAIN), *self._rows[index])


class MatrixScreen(ModalScreen[None]):
    """Shows a proof for as long as the person looks; it goes on without the screen. What is to be done about it is
    asked of the main screen by messages."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back", show=False),
        Binding("x", "stop", "stop", show=False),
        Binding("a", "again", "again", show=False),
        Binding("s", "scenario", "the scenario file", show=False),
    ]

    def __init__(
        self,
        state: ProofState,
        now_us: int,
        *,
        stop: Callable[[], None],
        again: Callable[[], None],
        plain_glyphs: bool,
    ) -> None:
        super().__init__()
        self.state = state
        self._stop, self._again = stop, again
        self._plain_glyphs = plain_glyphs
        self.pane = MatrixPane(state, now_us, id="matrix")
        self.facts = CellPane(id="cell")
        self.keys = KeyLine(id="matrix-keys")

    def compose(self) -> ComposeResult:
        for drawn in (self.pane, self.facts, self.keys):
            drawn.plain_glyphs = self._plain_glyphs
        with Container(id="proof"):
            yield self.pane
            yield self.facts
        yield self.keys

    def on_mount(self) -> None:
        self.set_focus(self.pane)
        self.keys.show_keys(KEYS)
        self._arrange()
        if self.pane.count() > 1:
            self.pane.select(1, by_hand=False)
        self._tell()

    def on_resize(self) -> None:
        self._arrange()

    def _arrange(self) -> None:
        """Side by side where there is room, else what is known below."""
        self.query_one("#proof").set_class(self.size.width >= WIDE_FROM, "wide")

    def show(self, state: ProofState, now_us: int) -> None:
        """A newer state, or a later moment."""
        self.state = state
        if self.is_mounted:
            self.pane.show_state(state, now_us)
            self._tell()

    def _tell(self) -> None:
        state, cell = self.state, self.pane.cell
        if cell is None:
            self.facts.tell("The whole", lambda width: whole_rows(state, width))
        else:
            self.facts.tell(cell.label, lambda width: cell_rows(state, cell, width))

    def on_pane_moved(self) -> None:
        self._tell()

    def on_matrix_pane_stepped(self) -> None:
        self._tell()

    def say(self, text: str, *, wrong: bool = False) -> None:
        self.keys.say(show(text, 300), Ink.WARNING if wrong else Ink.ACCENT)

    # --- acts ---------------------------------------------------------------------------------------------------

    def on_pane_opened(self) -> None:
        """Enter: the story of the cell."""
        from tape.tui.screens.cell_story import CellStoryScreen, of_cell

        cell = self.pane.cell
        result = self.state.results.get(cell.number) if cell is not None else None
        if cell is None:
            self.say(NOTHING, wrong=True)
        elif result is None:
            self.say("it has not been played: there is no story yet", wrong=True)
        elif result.journal is None:
            self.say("no journal was kept of it", wrong=True)
        else:
            self.app.push_screen(CellStoryScreen(of_cell(result, result.journal), plain_glyphs=self._plain_glyphs))  # pyright: ignore[reportUnknownMemberType]

    def action_scenario(self) -> None:
        cell = self.pane.cell
        result = self.state.results.get(cell.number) if cell is not None else None
        if cell is None:
            self.say(NOTHING, wrong=True)
        elif result is None or result.scenario is None:
            self.say("no scenario file was written for it: that is done where something is wrong", wrong=True)
        else:
            path = show(str(result.scenario))  # a line break in it would run what is pasted
            self.app.copy_to_clipboard(path)  # pyright: ignore[reportUnknownMemberType]
            self.say(f"sent to the terminal's clipboard: {path}")

    def action_stop(self) -> None:
        if self.state.phase is Phase.STOPPING:
            self.say("it is being stopped")
        elif self.state.under_way:
            self._stop()
        else:
            self.say("no proof is under way", wrong=True)

    def action_again(self) -> None:
        if self.state.under_way:
            self.say("a proof is under way: x stops it", wrong=True)
        else:
            self._again()
