"""A fork of a run: up to which record, with which input, why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tape.core.kernel.errors import UsageError
from tape.core.text import short_json, show
from tape.tui.acts import SAME_INPUT
from tape.tui.screens.dialog import Dialog
from tape.tui.screens.form import parse_json
from tape.tui.screens.question import Question
from tape.tui.screens.text_field import TextField

SAYS = (
    "A new run takes this tape over up to the record, and goes on from there with today's code. It is in quarantine: "
    "the model is asked, but no tool's body is entered. P lets it act for real."
)
HINT = "enter goes on    esc leaves without a fork"
INPUT_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Wanted:
    """`given` is SAME_INPUT, or what takes the input's place."""

    at: int
    given: Any
    reason: str


class ForkScreen(Dialog[Wanted]):
    """Answers with the fork that is wanted of a run whose tape holds seq 1 to `last`; None if none is."""

    def __init__(self, run_id: str, at: int, last: int, given: Any) -> None:
        super().__init__()
        self._run_id, self._at, self._last, self._given = run_id, at, last, given

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False) as box:
            box.border_title = Content(f"Fork {show(self._run_id, 20)}")
            yield Static(SAYS, markup=False, classes="says")
            note = f"the last record to take over, 1 to {self._last}"
            yield Question("at seq", TextField(str(self._at)), required=True, note=note, id="at")
            was = f"empty: as it was, {short_json(self._given, INPUT_SHOWN)}; another fits best from seq 1 on"
            yield Question("input", TextField(placeholder="another one, as JSON"), note=was, id="input")
            yield Question("reason", TextField(placeholder="recorded with your name"), id="reason")
            yield Static(HINT, markup=False, classes="hint")

    def finish(self) -> None:
        at, given = self.query_one("#at", Question), self.query_one("#input", Question)
        wrong: dict[Question, str] = {}
        number, value = at.text.strip(), SAME_INPUT
        if not (number.isascii() and number.isdigit() and 1 <= int(number[:12]) <= self._last):
            wrong[at] = f"a seq of this tape: 1 to {self._last}"
        try:
            value = parse_json(given.text) if given.text.strip() else SAME_INPUT
        except UsageError as error:
            wrong[given] = show(str(error), 200)
        if wrong:
            self.complain(wrong)
        else:
            self.dismiss(Wanted(int(number), value, self.query_one("#reason", Question).text.strip()))
