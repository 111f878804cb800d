"""An act that is meant: what it will do, why, and a word that must be typed."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tape.core.text import show
from tape.tui.screens.dialog import Dialog
from tape.tui.screens.question import Question
from tape.tui.screens.text_field import TextField

HINT = "enter goes on    esc leaves everything as it is"


class ConfirmScreen(Dialog[str]):
    """Answers with the reason, which may be empty unless `needs_reason`; None if it was not meant. Only the exact
    `word` confirms."""

    def __init__(self, title: str, says: str, word: str, *, needs_reason: bool = False) -> None:
        super().__init__()
        self._title, self._says, self._word = show(title, 120), show(says, 1000), word
        self._needs_reason = needs_reason

    def compose(self) -> ComposeResult:
        note = "recorded with your name" + ("" if self._needs_reason else "; may stay empty")
        with VerticalScroll(classes="dialog", can_focus=False) as box:
            box.border_title = Content(self._title)
            yield Static(self._says, markup=False, classes="says")
            yield Question("reason", TextField(), required=self._needs_reason, note=note, id="reason")
            yield Question("to confirm", TextField(placeholder=f"type {self._word}"), required=True, id="word")
            yield Static(HINT, markup=False, classes="hint")

    def finish(self) -> None:
        reason, word = self.query_one("#reason", Question), self.query_one("#word", Question)
        wrong: dict[Question, str] = {}
        if self._needs_reason and not reason.text.strip():
            wrong[reason] = "say why: it is recorded with your name"
        if word.text != self._word:
            wrong[word] = f"only the word {self._word} confirms"
        if wrong:
            self.complain(wrong)
        else:
            self.dismiss(reason.text.strip())
