"""What becomes of the agents that live when the console ends."""

from __future__ import annotations

from enum import StrEnum

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tape.core.text import count
from tape.tui.scene import Scene
from tape.tui.screens.choice import Choice
from tape.tui.screens.dialog import Dialog
from tape.tui.screens.question import Question
from tape.tui.screens.text_field import TextField


class Quit(StrEnum):
    STAY = "stay"
    DRAIN = "drain"
    KILL = "kill"


SAYS = {
    Quit.STAY: "the console stays open",
    Quit.DRAIN: "each agent finishes its boundary and gives its lease back; the next start goes on from there",
    Quit.KILL: "the agents end now, as in a crash; the next start settles what is open and takes the runs up",
}
HINT = "left and right choose    enter goes on    esc stays"


class QuitScreen(Dialog[Quit]):
    """Answers with how to end; None to stay. To kill, the word must be typed."""

    def __init__(self, living: int) -> None:
        super().__init__()
        self._living = living

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False) as box:
            box.border_title = Content("Quit")
            yield Static(self._says(self._living), markup=False, classes="says", id="living")
            yield Question("agents", Choice(tuple(Quit), 0), note=SAYS[Quit.STAY], id="how")
            yield Question("to confirm", TextField(placeholder=f"type {Quit.KILL}"), required=True, id="word")
            yield Static(HINT, markup=False, classes="hint")

    def begin(self) -> None:
        self.query_one("#word").display = False
        self.set_focus(self.query_one(Choice))

    def show(self, scene: Scene) -> None:
        if self.is_mounted:
            self.query_one("#living", Static).update(self._says(scene.strip.agents))

    @staticmethod
    def _says(living: int) -> str:
        return (
            f"{count(living, 'run is', 'runs are')} being driven now." if living else "No run is being driven any more."
        )

    @property
    def how(self) -> Quit:
        return tuple(Quit)[self.query_one(Choice).index or 0]

    def on_choice_changed(self) -> None:
        self.query_one("#how", Question).note = SAYS[self.how]
        self.query_one("#word").display = self.how is Quit.KILL

    def finish(self) -> None:
        word = self.query_one("#word", Question)
        if self.how is Quit.KILL and word.text != Quit.KILL:
            self.complain({word: f"only the word {Quit.KILL} confirms"})
        else:
            self.dismiss(None if self.how is Quit.STAY else self.how)
