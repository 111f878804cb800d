"""What all dialogs share: they stand in front of the console, answer once, and leave with nothing on escape."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widget import Widget

from tape.tui.pane import Pane
from tape.tui.panes.top import OneLine
from tape.tui.scene import Scene
from tape.tui.screens.question import Question
from tape.tui.screens.text_field import TextField

Answer = TypeVar("Answer")


class Dialog(ModalScreen["Answer | None"], Generic[Answer]):
    """Enter goes on to the next question, in the last one it is the answer. `finish` is what a subclass says then."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", show=False, id="dialog-leave"),
        Binding("down", "app.focus_next", "next", show=False, id="dialog-next"),
        Binding("up", "app.focus_previous", "before", show=False, id="dialog-before"),
        Binding("ctrl+c", "interrupt", show=False, priority=True, id="dialog-interrupt"),
    ]
    AUTO_FOCUS = ""

    composed = False
    plain_glyphs = False
    interrupt: Callable[[], None] = staticmethod(lambda: None)
    """What Ctrl-C means in the console: it means the same here."""

    def on_mount(self) -> None:
        self.composed = True
        self.set_class(self.plain_glyphs, "plain")
        for drawn in (*self.query(Pane), *self.query(OneLine)):
            drawn.plain_glyphs = self.plain_glyphs
        self.begin()

    def begin(self) -> None:
        """Where the focus starts."""
        self.focus_next(TextField)

    def show(self, scene: Scene) -> None:
        """A newer scene."""

    def finish(self) -> None:
        """The answer is complete, or a question says what is wrong."""
        raise NotImplementedError

    def questions(self) -> list[Question]:
        """Those on screen, from the top."""
        return [question for question in self.query(Question) if question.display]

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_interrupt(self) -> None:
        self.interrupt()

    def on_input_submitted(self) -> None:
        self.go_on()

    def on_choice_entered(self) -> None:
        self.go_on()

    def go_on(self) -> None:
        """Enter."""
        controls: list[Widget] = [question.control for question in self.questions()]
        here = controls.index(self.focused) if self.focused in controls else -1
        if here == len(controls) - 1:
            self.finish()
        else:
            self.set_focus(controls[here + 1])

    def complain(self, wrong: dict[Question, str]) -> None:
        """Says what is wrong where it is, and takes the focus to the first of them."""
        for question, text in wrong.items():
            question.wrong = text
        first = next(iter(wrong), None)
        if first is not None:
            self.set_focus(first.control)
