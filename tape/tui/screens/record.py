"""A run as a scenario: what will be written, and where."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tape.core.kernel.errors import TapeError, one_line
from tape.core.text import show
from tape.tui.ink import Ink, Row
from tape.tui.json_rows import wrap
from tape.tui.pane import Pane
from tape.tui.screens.dialog import Dialog
from tape.tui.screens.question import Question
from tape.tui.screens.text_field import TextField

HINT = "enter writes it    tab, then arrows, reads it first    esc leaves"
NOTE = "in the project's folder; no file is overwritten"
SHOWN_CHARACTERS = 200_000
Write = Callable[[str], str]


class YamlPane(Pane):
    """The file's lines, to be read and scrolled."""

    name_shown = "What will be written"
    has_cursor = False

    def __init__(self, text: str, *, id: str) -> None:
        super().__init__(id=id)
        self._text = text
        self._made: tuple[int, list[Row]] = (-1, [])

    def count(self) -> int:
        width = self.inner_width
        if self._made[0] != width:
            self._made = (width, yaml_rows(self._text, max(20, width - 2)))
        return len(self._made[1])

    def row(self, index: int, width: int) -> Row:
        del width
        return ((" ", Ink.PLAIN), *self._made[1][index])


def yaml_rows(text: str, width: int) -> list[Row]:
    """Lines as they stand, keys in their own ink; a long one goes on in the next."""
    rows: list[Row] = []
    for line in text[:SHOWN_CHARACTERS].removesuffix("\n").split("\n"):
        key, colon, rest = show(line).partition(": ")
        plain = key.lstrip(" -")
        if colon and plain.isidentifier():
            rows += wrap(((f"{key}:", Ink.NAME), (f" {rest}", Ink.PLAIN)), width)
        else:
            rows += wrap(((show(line), Ink.NAME if line.endswith(":") else Ink.PLAIN),), width)
    if len(text) > SHOWN_CHARACTERS:
        rows.append(((f"… {len(text) - SHOWN_CHARACTERS:,} more characters will be written", Ink.WARNING),))
    return rows


class RecordScreen(Dialog[str]):
    """Answers with the file that was written. `write` is called on a thread of its own: it writes to a name, and
    returns where that is or raises a TapeError, one line."""

    def __init__(self, run_id: str, text: str, proposed: str, write: Write) -> None:
        super().__init__()
        self._run_id = run_id
        self._text = text
        self._proposed = proposed
        self._write = write
        self._writing = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="tall yaml"):
            yield YamlPane(self._text, id="yaml")
            with VerticalScroll(classes="dialog part", can_focus=False) as box:
                box.border_title = Content(f"Record {show(self._run_id, 60)}")
                yield Question("file", TextField(self._proposed), required=True, note=NOTE, id="file")
                yield Static(HINT, markup=False, classes="hint")

    def begin(self) -> None:
        field = self.query_one(TextField)
        field.cursor_position = len(field.value)
        self.set_focus(field)

    def finish(self) -> None:
        if not self._writing:
            self._writing = True
            self.run_worker(self._finish(self.query_one(TextField).value), name="record")

    async def _finish(self, name: str) -> None:
        """Off the screen's thread: a disk may be slow."""
        try:
            file = await asyncio.to_thread(self._write, name)
        except TapeError as error:
            self._writing = False
            self.complain({self.query_one(Question): one_line(error)})
        else:
            self.dismiss(file)
