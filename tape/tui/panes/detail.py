"""The detail: everything about the line under the cursor, as words and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tape.core.text import show
from tape.tui.ink import Ink, Row
from tape.tui.json_rows import json_rows, text_rows
from tape.tui.pane import Pane


@dataclass(frozen=True, slots=True)
class Subject:
    """What the detail shows: `words` above, `value` below; `name` says what it is, and names its export."""

    name: str
    words: Sequence[tuple[str, Ink]]
    value: Any


class DetailPane(Pane):
    number = "7"
    name_shown = "Detail"
    has_cursor = False

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.subject: Subject | None = None
        self._rows: list[Row] = []
        self._made_for: tuple[Subject | None, int] = (None, 0)

    def show_subject(self, subject: Subject | None) -> None:
        if subject == self.subject:
            return
        if subject is None or self.subject is None or subject.name != self.subject.name:
            self.top = 0
        self.subject = subject
        self.redraw()

    def _made(self) -> list[Row]:
        """The rows for the present width, made once."""
        made_for = (self.subject, self.inner_width)
        if made_for[0] is not self._made_for[0] or made_for[1] != self._made_for[1]:
            self._made_for = made_for
            self._rows = self._make()
        return self._rows

    def _make(self) -> list[Row]:
        if self.subject is None:
            return []
        width = max(10, self.inner_width - 2)
        rows = [row for text, ink in self.subject.words for row in text_rows(text, width, ink)]
        if self.subject.value is not None:
            rows += [(), *json_rows(self.subject.value, width)]
        return [((" ", Ink.PLAIN), *row) for row in rows]

    def title(self) -> str:
        return f"Detail {show(self.subject.name, 200)}" if self.subject else "Detail"

    def info(self) -> Row:
        return (("y copies  e exports", Ink.MUTED),) if self.subject else ()

    def count(self) -> int:
        return len(self._made())

    def row(self, index: int, width: int) -> Row:
        del width
        return self._made()[index]

    def empty(self) -> list[Row]:
        return [((" what the line under the cursor says in full", Ink.MUTED),)]
