"""A person's answer to a gate: one of its options, and the word typed, with the exact call in sight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tape.core.text import show
from tape.tui.scene import Scene
from tape.tui.screens.choice import Choice
from tape.tui.screens.dialog import Dialog
from tape.tui.screens.facts import Facts
from tape.tui.screens.question import Question
from tape.tui.screens.settle import listed
from tape.tui.screens.text_field import TextField

if TYPE_CHECKING:
    from tape.core.journal.shapes import Need

HINT = "tab and arrows move    enter goes on    esc leaves the gate open"
GONE = "answered meanwhile: esc leaves"
OPTION_CELLS = 60


@dataclass(frozen=True, slots=True)
class Answered:
    """What a person answered, and why."""

    need: Need
    value: str
    reason: str


class AnswerScreen(Dialog[Answered]):
    """Answers with what was said to the gate `need`; None if nothing was."""

    def __init__(self, need: Need, scene: Scene) -> None:
        super().__init__()
        self.need = need
        self._now_us = scene.now_us
        self._was_listed = listed(need, scene) is not None
        self.gone = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="tall"):
            self.facts = Facts(id="facts")
            yield self.facts
            with VerticalScroll(classes="dialog part", can_focus=False) as box:
                box.border_title = Content("Your answer")
                options = [show(option, OPTION_CELLS) for option in self.need.options]
                yield Question("answer", Choice(options), required=True, note=" ", id="option")
                yield Question("reason", TextField(placeholder="recorded with your name"), id="reason")
                yield Question("to confirm", TextField(placeholder="the option chosen above"), required=True, id="word")
                yield Static(HINT, markup=False, classes="hint")

    def begin(self) -> None:
        self.facts.show_need(self.need, self._now_us)
        self.set_focus(self.query_one(Choice))

    @property
    def value(self) -> str | None:
        index = self.query_one(Choice).index
        return None if index is None else self.need.options[index]

    def question(self, name: str) -> Question:
        return self.query_one(f"#{name}", Question)

    def on_choice_changed(self) -> None:
        value = self.value
        if value is None:
            return
        first = value == self.need.options[0]
        if self.need.args_hash:
            says = f"approves this one call, #{self.need.args_hash[:8]}, and no other" if first else "approves nothing"
            self.question("option").note = says
        self.query_one("#word TextField", TextField).placeholder = f"type {show(value, OPTION_CELLS)}"

    def show(self, scene: Scene) -> None:
        """Newer facts; what has been answered meanwhile, or has timed out, is not answered again."""
        if not self.composed:
            return
        now = listed(self.need, scene)
        self._was_listed = self._was_listed or now is not None
        gone = self._was_listed and now is None
        if gone != self.gone:
            self.gone = gone
            self.question("option").wrong = GONE if gone else ""
        self.need = now or self.need
        self.facts.show_need(self.need, scene.now_us)

    def finish(self) -> None:
        value = self.value
        if value is None or self.gone:
            self.complain({self.question("option"): GONE if self.gone else "choose one: left and right"})
        elif self.question("word").text not in (value, show(value, OPTION_CELLS)):
            self.complain({self.question("word"): f"only the word {show(value, OPTION_CELLS)} confirms"})
        else:
            self.dismiss(Answered(self.need, value, self.question("reason").text.strip()))
