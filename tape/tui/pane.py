"""A framed list of lines, drawn line by line: only what is on screen is ever made, and only what changed is drawn.

A stock table redraws everything when one cell changes; with a hundred thousand rows this one costs what a screenful
costs. The frame is drawn here too, because both titles stand in its top line and its right side is the scroll bar.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from tape.tui.ink import Ink, Row, clip, width_of
from tape.tui.inked import Inked

WHEEL_LINES = 3


class Pane(Inked, can_focus=True):
    """Base of all panes. Subclasses say what the rows are; `redraw` draws those that have changed.

    `number` is its key. Once the user has moved it, the cursor belongs to the row's key, never to its place: rows that
    come in above move it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", show=False, id="down"),
        Binding("k,up", "move(-1)", "up", show=False, id="up"),
        Binding("g,home", "jump(0)", "first", show=False, id="first"),
        Binding("G,end", "jump(-1)", "last", show=False, id="last"),
        Binding("pagedown,ctrl+f", "page(1)", "page down", show=False, id="page-down"),
        Binding("pageup,ctrl+b", "page(-1)", "page up", show=False, id="page-up"),
        Binding("enter", "open", "detail", show=False, id="open"),
    ]

    number: ClassVar[str] = ""
    name_shown: ClassVar[str] = ""
    has_cursor: ClassVar[bool] = True

    class Moved(Message):
        """The cursor stands on another row, by the user's hand."""

        def __init__(self, pane: Pane) -> None:
            self.pane = pane
            super().__init__()

    class Opened(Message):
        """Enter, or a double click, on the row under the cursor."""

        def __init__(self, pane: Pane) -> None:
            self.pane = pane
            super().__init__()

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.cursor = 0
        self.top = 0
        self.following = False
        self._key: Hashable | None = None
        self._fits = Size(0, 0)
        self._drawn: dict[int, tuple[Row, bool, bool]] = {}

    # --- what a subclass says -----------------------------------------------------------------------------------

    def title(self) -> str:
        """Safe text after the number in the frame's top line."""
        return self.name_shown

    def info(self) -> Row:
        """What stands at the right of the frame's top line."""
        return ()

    def head(self, width: int) -> Row | None:
        """The line above the rows, or None."""
        return None

    def count(self) -> int:
        return 0

    def row(self, index: int, width: int) -> Row:
        raise NotImplementedError

    def key_of(self, index: int) -> Hashable | None:
        """What makes the row the same row; None if it is not known yet."""
        return index

    def find(self, key: Hashable) -> int | None:
        """Where the row with this key stands now; None if it is gone."""
        for index in range(self.count()):
            if self.key_of(index) == key:
                return index
        return None

    def empty(self) -> list[Row]:
        """What is shown without any row: what could be here, and how it comes."""
        return []

    def points_at(self, index: int) -> bool:
        """Whether the row is marked: the cursor shows where the focus is."""
        return index == self.cursor and self.has_focus

    # --- drawing ------------------------------------------------------------------------------------------------

    @property
    def inner_width(self) -> int:
        return max(0, self.size.width - 2)

    @property
    def rows_top(self) -> int:
        """The first line of rows: below the frame, and below the head."""
        return 1 if self.head(self.inner_width) is None else 2

    @property
    def visible_rows(self) -> int:
        return max(0, self.size.height - 1 - self.rows_top)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._drawn = {}

    def fit(self) -> None:
        """The pane has another size now."""
        self._drawn = {}
        self._settle()

    def render_lines(self, crop: Region) -> list[Strip]:
        """The screen may draw a pane in its new size before the pane hears of it: its rows fit from the first frame."""
        if self.size != self._fits:
            self._fits = self.size
            self.fit()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if y == height - 1:
            return self.drawn((("╰" + "─" * max(0, width - 2) + "╯", Ink.FRAME),))
        row, marked, thumb = self._drawn[y] = self._line(y)
        if y == 0:
            return self.drawn(row)
        return self.drawn(
            (("│", Ink.FRAME), *row, ("┃" if thumb else "│", Ink.FRAME)), marked=marked and self.has_focus
        )

    def _line(self, y: int) -> tuple[Row, bool, bool]:
        """All that decides how this line looks: the row, whether the cursor and whether the scroll bar stands in it."""
        if y == 0:
            return self._frame_top(self.size.width), False, False
        return (*self._body(y), self._in_thumb(y))

    def _body(self, y: int) -> tuple[Row, bool]:
        """The row in this line, fitted, and whether the cursor stands on it."""
        width = self.inner_width
        head = self.head(width)
        if head is not None and y == 1:
            return clip(head, width), False
        at = y - self.rows_top
        if not self.count():
            lines = self.empty()
            return clip(lines[at] if at < len(lines) else (), width), False
        index = self.top + at
        if index >= self.count():
            return clip((), width), False
        return clip(self.row(index, width), width), self.has_cursor and index == self.cursor

    def _frame_top(self, width: int) -> Row:
        ink = Ink.FOCUS if self.has_focus else Ink.TITLE
        head = f"{self.number} {self.title()}".strip()
        info = self.info()
        left: Row = (("╭─ ", Ink.FRAME), (head, ink), (" ", Ink.FRAME))
        tail: Row = ((" ", Ink.FRAME), *info, (" ─╮", Ink.FRAME)) if width_of(info) else (("─╮", Ink.FRAME),)
        if width_of(left) + width_of(tail) > width:
            tail = (("─╮", Ink.FRAME),)
        room = width - width_of(left) - width_of(tail)
        if room >= 0:
            return (*left, ("─" * room, Ink.FRAME), *tail)
        return (*clip(left, max(0, width - 2)), *tail)

    def _in_thumb(self, y: int) -> bool:
        rows, count = self.visible_rows, self.count()
        if count <= rows or rows <= 0:
            return False
        size = max(1, rows * rows // count)
        start = (rows - size) * self.top // max(1, count - rows)
        return start <= y - self.rows_top < start + size

    def redraw(self) -> None:
        """Draws the lines that look different now. Cheap if nothing does."""
        if not self.is_mounted or not self.size.height:
            return
        self._settle()
        for y in range(self.size.height - 1):
            if self._drawn.get(y) != self._line(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def refresh_frame(self) -> None:
        self.refresh(Region(0, 0, self.size.width, 1))

    # --- the cursor ---------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """After the rows have changed: the cursor goes with its row, and the row stays where it is on screen."""
        count = self.count()
        if self.following:
            self.cursor = self.follow_end()
            self._key = self.key_of(self.cursor) if count else None
        elif self._key is not None:
            index = self.find(self._key)
            if index is not None and index != self.cursor:
                self.top += index - self.cursor
                self.cursor = index
        self.cursor = max(0, min(self.cursor, count - 1))
        self._scroll_to_cursor()

    def follow_end(self) -> int:
        """Where new rows appear."""
        return max(0, self.count() - 1)

    def _scroll_to_cursor(self) -> None:
        rows = self.visible_rows
        before = self.top
        if self.has_cursor or self.following:
            self.top = min(self.top, self.cursor)
            self.top = max(self.top, self.cursor - rows + 1)
        self.top = max(0, min(self.top, self.count() - rows))
        if self.top != before:
            self._drawn = {}
            self.refresh()

    def select(self, index: int, *, by_hand: bool = True) -> None:
        """Puts the cursor on a row."""
        count = self.count()
        if not count:
            return
        index = max(0, min(index, count - 1))
        if by_hand:
            self.following = self.following and index == self.follow_end()
        changed = index != self.cursor or (self._key is not None and self._key != self.key_of(index))
        self.cursor, self._key = index, self.key_of(index)
        self._scroll_to_cursor()
        self.redraw()
        if changed and by_hand:
            self.post_message(self.Moved(self))

    def select_key(self, key: Hashable) -> bool:
        """The same by the row's key, not by the user's hand; False if there is no such row."""
        index = self.find(key)
        if index is None:
            return False
        self.following = False
        self.select(index, by_hand=False)
        return True

    @property
    def cursor_key(self) -> Hashable | None:
        return self.key_of(self.cursor) if self.count() else None

    def forget_cursor(self) -> None:
        """Other rows altogether: the cursor starts anew."""
        self.cursor, self.top, self._key = 0, 0, None

    def action_move(self, lines: int) -> None:
        if self.has_cursor:
            self.select(self.cursor + lines)
        else:
            self.scroll_rows(lines)

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.visible_rows - 1))

    def action_jump(self, index: int) -> None:
        if self.has_cursor:
            self.select(self.count() - 1 if index < 0 else index)
        else:
            self.scroll_rows(-self.count() if index == 0 else self.count())

    def scroll_rows(self, lines: int) -> None:
        before = self.top
        self.top = max(0, min(self.top + lines, self.count() - self.visible_rows))
        if self.top != before:
            self._drawn = {}
            self.refresh()

    def action_open(self) -> None:
        if self.count():
            self.post_message(self.Opened(self))

    def follow(self, on: bool) -> None:
        self.following = on
        self.redraw()
        if on and self.has_cursor:
            self.post_message(self.Moved(self))

    # --- the mouse and the frame --------------------------------------------------------------------------------

    def on_focus(self) -> None:
        self._marks()

    def on_blur(self) -> None:
        self._marks()

    def _marks(self) -> None:
        """Focus shows in the title and in the cursor's row, and redraws only these."""
        self.refresh_frame()
        y = self.rows_top + self.cursor - self.top
        if self.has_cursor and 0 < y < self.size.height - 1:
            self._drawn.pop(y, None)
            self.refresh(Region(0, y, self.size.width, 1))

    def on_show(self) -> None:
        """While it was hidden nothing was drawn; what is kept of it may be old."""
        self._drawn = {}
        self._settle()
        self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_move(WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_move(-WHEEL_LINES)

    def on_click(self, event: events.Click) -> None:
        at = event.y - self.rows_top
        index = self.top + at
        if 0 <= at < self.visible_rows and index < self.count():
            event.stop()
            if self.has_cursor:
                self.select(index)
            if event.chain >= 2:
                self.action_open()
