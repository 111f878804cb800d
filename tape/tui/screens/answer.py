"""A person's answer to a gate: one of its options, and the word typed, with the exact call in sight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tape.core.text import show
from tape.tui.screens.choice import Choice
from tape.tui.screens.need_dialog import NeedDialog
from tape.tui.screens.question import Question
from tape.tui.screens.text_field import TextField

if TYPE_CHECKING:
    from tape.core.journal.shapes import Need

HINT = "tab and arrows move    enter goes on    esc leaves the gate open"
OPTION_CELLS = 60


@dataclass(frozen=True, slots=True)
class Answered:
    """What a person answered, and why."""

    need: Need
    value: str
    reason: str


class AnswerScreen(NeedDialog[Answered]):
    """Answers with what was said to the gate `need`; None if nothing was."""

    asks = "option"
    over = "answered meanwhile: esc leaves"

    def compose(self) -> ComposeResult:
        with Vertical(classes="tall"):
            yield self.facts
            with VerticalScroll(classes="dialog part", can_focus=False) as box:
                box.border_title = Content("Your answer")
                options = [show(option, OPTION_CELLS) for option in self.need.options]
                yield Question("answer", Choice(options), required=True, note=" ", id="option")
                yield Question("reason", TextField(placeholder="recorded with your name"), id="reason")
                yield Question("to confirm", TextField(placeholder="the option chosen above"), required=True, id="word")
                yield Static(HINT, markup=False, classes="hint")

    @property
    def value(self) -> str | None:
        return None if self.index is None else self.need.options[self.index]

    def on_choice_changed(self) -> None:
        value = self.value
        if value is None:
            return
        first = value == self.need.options[0]
        if self.need.args_hash:
            says = f"approves this one call, #{self.need.args_hash[:8]}, and no other" if first else "approves nothing"
            self.question("option").note = says
        self.query_one("#word TextField", TextField).placeholder = f"type {show(value, OPTION_CELLS)}"

    def finish(self) -> None:
        value = self.value
        if value is None or self.gone:
            self.complain_of_choice()
        elif self.question("word").text not in (value, show(value, OPTION_CELLS)):
            self.complain({self.question("word"): f"only the word {show(value, OPTION_CELLS)} confirms"})
        else:
            self.dismiss(Answered(self.need, value, self.question("reason").text.strip()))
