"""A line to write in that hides nothing: what a text holds of invisible characters is seen, and kept."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.widgets import Input

from tape.core.text import MARKS_IN_A_ROW, show

STAND_IN = "¿"
LIMIT = 100_000


class TextField(Input):
    """One line of text. A paste is taken whole, its line ends too, or not at all if it is longer than can be drawn."""

    class Refused(Message):
        """A paste that was too long."""

        def __init__(self, field: TextField, size: int) -> None:
            self.field, self.size = field, size
            super().__init__()

    def __init__(self, value: str = "", *, placeholder: str = "") -> None:
        super().__init__(value[:LIMIT], placeholder=show(placeholder, 200), compact=True, select_on_focus=False)
        self.cursor_blink = False

    @property
    def _value(self) -> Text:
        return Text(visible(self.value), no_wrap=True, overflow="ignore", end="")

    @property
    def _cursor_offset(self) -> int:
        return cell_len(visible(self.value)[: self.cursor_position]) + self.cursor_at_end

    def on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")  # terminals send a paste's line ends as returns
        if len(self.value) + len(text) > LIMIT:
            self.post_message(self.Refused(self, len(text)))
        else:
            self.replace(text, *sorted(self.selection))
            self.call_after_refresh(self._show_cursor)

    def on_focus(self) -> None:
        self.call_after_refresh(self._show_cursor)

    def _show_cursor(self) -> None:
        """The base class scrolls before it knows how long the text has become."""
        self.scroll_to_region(Region(self._cursor_offset, 0, 1, 1), force=True, animate=False)


@lru_cache(maxsize=16)
def visible(text: str) -> str:
    """The text with a stand-in for each character that cannot be seen: as many characters as there were, so that the
    cursor stands where it should."""
    if text.isascii() and text.isprintable():
        return text
    signs: list[str] = []
    marks = 0
    for sign in text:
        marks = marks + 1 if unicodedata.combining(sign) else 0
        signs.append(sign if marks <= MARKS_IN_A_ROW and _seen(sign) else STAND_IN)
    return "".join(signs)


@lru_cache(maxsize=4096)
def _seen(sign: str) -> bool:
    return show(sign) == sign
