"""One question of a dialog: its name, what is answered, and in one line below what is wrong with that."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from tape.core.text import fit, show
from tape.tui.screens.choice import Choice
from tape.tui.screens.text_field import TextField

NAME_WIDTH = 16


class Question(Vertical):
    """`control` takes the answer. A required one is marked with `*`."""

    def __init__(
        self, name: str, control: TextField | Choice, *, required: bool = False, note: str = "", id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.control = control
        self._shown = fit(show(name, 200), NAME_WIDTH - 2)
        self._required = required
        self._note = show(note, 200)
        self._wrong = ""

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(self._marked, markup=False, classes="name")
            yield self.control
        yield Static(self._note, markup=False, classes="note hint")

    def on_mount(self) -> None:
        self._speak()

    @property
    def _marked(self) -> str:
        return f"{self._shown} {'*' if self._required else ' '}"

    def require(self, required: bool) -> None:
        """Whether it must be answered, where that is known only later."""
        self._required = required
        self.query_one(".name", Static).update(self._marked)

    @property
    def wrong(self) -> str:
        return self._wrong

    @wrong.setter
    def wrong(self, text: str) -> None:
        """What is wrong, in place of the note; empty if nothing is."""
        if text != self._wrong:
            self._wrong = show(text, 200)
            self._speak()

    @property
    def note(self) -> str:
        return self._note

    @note.setter
    def note(self, text: str) -> None:
        self._note = show(text, 200)
        self._speak()

    def _speak(self) -> None:
        line = self.query_one(".note", Static)
        line.update(self._wrong or self._note)
        line.set_class(bool(self._wrong), "wrong")
        line.display = bool(self._wrong or self._note)

    @property
    def text(self) -> str:
        return self.control.value if isinstance(self.control, TextField) else ""

    def on_text_field_refused(self, message: TextField.Refused) -> None:
        message.stop()
        self.wrong = f"a paste of {message.size:,} characters is too long here; `tape` on the command line takes more"

    def on_input_changed(self) -> None:
        self.wrong = ""

    def on_choice_changed(self) -> None:
        self.wrong = ""
