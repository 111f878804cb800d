"""Pane 2: the tape of the selected run, with the story of the crash between its records."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from tape.core.marks import FORK
from tape.core.text import show
from tape.tui.ink import Ink, Row
from tape.tui.pane import Pane
from tape.tui.rows import tape_head, tape_row
from tape.tui.scene import Scene, Selected

if TYPE_CHECKING:
    from tape.core.story import TapeLine


class TapePane(Pane):
    number = "2"
    name_shown = "Tape"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.selected: Selected | None = None
        self.full = False
        self.following = True
        self._places: dict[Hashable, int] = {}

    def show(self, scene: Scene) -> None:
        before, self.selected = self.selected, scene.selected
        self.full = scene.view.full_story
        if before is self.selected:
            return
        if before is None or self.selected is None or before.run.id != self.selected.run.id:
            self.forget_cursor()
            self.following = True
        self._places = {self.key_of(index): index for index in range(self.count())}
        self.redraw()

    @property
    def lines(self) -> tuple[TapeLine, ...]:
        return self.selected.story.lines if self.selected else ()

    @property
    def line(self) -> TapeLine | None:
        """The line under the cursor."""
        lines = self.lines
        return lines[self.cursor] if self.cursor < len(lines) else None

    def title(self) -> str:
        if self.selected is None:
            return "Tape"
        run = self.selected.run
        fork = "" if run.source_id is None else f" {FORK.glyph} {'in quarantine' if run.quarantine else 'fork'}"
        return f"Tape {show(run.id, 20)}{fork}"

    def info(self) -> Row:
        if self.selected is None:
            return ()
        if self.selected.at is not None:
            place, of = self.selected.position
            return ((f"◆ past: as of entry {place} of {of}", Ink.ACCENT), ("  > on  esc now", Ink.MUTED))
        return (
            ("every entry  " if self.full else "", Ink.ACCENT),
            ("follow ▾" if self.following else "enter: detail", Ink.PRIMARY if self.following else Ink.MUTED),
        )

    def head(self, width: int) -> Row | None:
        return tape_head(width) if self.selected else None

    def count(self) -> int:
        return len(self.lines)

    def row(self, index: int, width: int) -> Row:
        taken_over = self.selected.run.source_seq if self.selected else 0
        return tape_row(self.lines[index], here=self.points_at(index), width=width, taken_over=taken_over)

    @property
    def seq(self) -> int | None:
        """The record under the cursor, else the last one above it."""
        upto = self.lines[: self.cursor + 1]
        return next((line.seq for line in reversed(upto) if line.seq is not None and line.kind == "RECORD"), None)

    def key_of(self, index: int) -> Hashable | None:
        if not 0 <= index < self.count():
            return None
        line = self.lines[index]
        return line.id, line.kind

    def find(self, key: Hashable) -> int | None:
        return self._places.get(key)

    def find_entry(self, entry_id: int) -> int | None:
        """The line of this entry, or the one that tells it."""
        after = [index for index, line in enumerate(self.lines) if line.id <= entry_id]
        exact = [index for index in after if self.lines[index].id == entry_id]
        return exact[0] if exact else after[-1] if after else None

    def empty(self) -> list[Row]:
        return [(), (("  the tape of the selected run: what it decided and did, in order", Ink.MUTED),)]
