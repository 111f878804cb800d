"""One of a few words, on one line: arrows or a click choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from tape.core.text import cells, fit
from tape.tui.ink import Ink, Row, Span
from tape.tui.panes.top import OneLine

GAP = 3


class Choice(OneLine, can_focus=True):
    """`options` are safe texts; `index` is the chosen one, None while none is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "before", show=False),
        Binding("right,l,space", "step(1)", "next", show=False),
        Binding("home", "first", "first", show=False),
        Binding("end", "last", "last", show=False),
        Binding("enter", "enter", "go on", show=False),
    ]

    class Changed(Message):
        def __init__(self, choice: Choice) -> None:
            self.choice = choice
            super().__init__()

    class Entered(Message):
        """Enter on it."""

        def __init__(self, choice: Choice) -> None:
            self.choice = choice
            super().__init__()

    def __init__(self, options: Sequence[str], index: int | None = None) -> None:
        super().__init__()
        self.options = tuple(options)
        self.index = index

    def line(self, width: int) -> Row:
        row: list[Span] = []
        for at, (start, text) in enumerate(self._placed(width)):
            if text:
                row.append((" " * (start - sum(cells(part) for part, _ in row)), Ink.PLAIN))
                row.append((text, self._ink(at)))
        return tuple(row)

    def _ink(self, at: int) -> Ink:
        if at != self.index:
            return Ink.MUTED
        return Ink.FOCUS if self.has_focus else Ink.STRONG

    def _placed(self, width: int) -> list[tuple[int, str]]:
        """Column and text of each option; those that do not fit beside the chosen one have no text."""
        texts = [f"{'●' if at == self.index else '○'} {option}" for at, option in enumerate(self.options)]
        sizes = [min(cells(text), max(1, width)) for text in texts]
        first, here = 0, self.index or 0
        while first < here and sum(sizes[first : here + 1]) + GAP * (here - first) > width - GAP:
            first += 1
        placed = [(0, "")] * first
        column = 0
        for text, size in zip(texts[first:], sizes[first:], strict=True):
            fits = column + size <= width
            placed.append((column, fit(text, size)) if fits else (column, ""))
            column = column + size + GAP if fits else width + 1
        return placed

    def choose(self, index: int) -> None:
        if self.options and index != self.index:
            self.index = max(0, min(index, len(self.options) - 1))
            self.refresh()
            self.post_message(self.Changed(self))

    def action_step(self, by: int) -> None:
        if self.index is None:
            self.choose(0 if by > 0 else len(self.options) - 1)
        else:
            self.choose((self.index + by) % max(1, len(self.options)))

    def action_first(self) -> None:
        self.choose(0)

    def action_last(self) -> None:
        self.choose(len(self.options) - 1)

    def action_enter(self) -> None:
        self.post_message(self.Entered(self))

    def on_click(self, event: events.Click) -> None:
        event.stop()
        for at, (start, text) in enumerate(self._placed(self.size.width)):
            if text and start <= event.x < start + cells(text):
                self.choose(at)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()
