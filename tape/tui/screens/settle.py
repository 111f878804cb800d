"""A person's word on what nobody else can know: it happened, it certainly did not, or it is to be tried again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tape.core.kernel.errors import UsageError
from tape.core.text import show
from tape.tui.screens.choice import Choice
from tape.tui.screens.form import parse_json
from tape.tui.screens.need_dialog import NeedDialog
from tape.tui.screens.question import Question
from tape.tui.screens.text_field import TextField

if TYPE_CHECKING:
    from tape.core.journal.shapes import Need
    from tape.tui.scene import Scene

HINT = "tab and arrows move    enter goes on    esc leaves everything as it is"


class How(StrEnum):
    CONFIRM = "confirm"
    FAIL = "fail"
    RETRY = "retry"


EFFECT_SAYS = {
    How.CONFIRM: "it happened: the run goes on with this result",
    How.FAIL: "it certainly did not happen: the agent gets EffectFailed with the reason",
    How.RETRY: "the body runs again with the same key: if it had happened, it happens twice",
}
UNDO_SAYS = {
    How.CONFIRM: "the act is undone",
    How.FAIL: "the act stays as it is: nothing is undone",
    How.RETRY: "the undo runs again with the same key",
}


@dataclass(frozen=True, slots=True)
class Settled:
    """What a person decided. `result` is what the body returned, if it happened."""

    key: str
    how: How
    result: Any
    reason: str


class SettleScreen(NeedDialog[Settled]):
    """Answers with what was decided about `need`, an effect or an obligation; None if nothing was."""

    asks = "how"
    over = "settled meanwhile: esc leaves"

    def __init__(self, need: Need, scene: Scene) -> None:
        super().__init__(need, scene)
        self.undo = str(need.kind) == "obligation"
        self._says = UNDO_SAYS if self.undo else EFFECT_SAYS

    def compose(self) -> ComposeResult:
        with Vertical(classes="tall"):
            yield self.facts
            with VerticalScroll(classes="dialog part", can_focus=False) as box:
                box.border_title = Content("What happened?" if not self.undo else "Is it undone?")
                yield Question("it is", Choice(tuple(How)), required=True, note=" ", id="how")
                yield Question(
                    "result", TextField(placeholder="JSON: what the body returned"), required=True, id="result"
                )
                yield Question("reason", TextField(placeholder="recorded with your name"), required=True, id="reason")
                yield Question("to confirm", TextField(placeholder="the word chosen above"), required=True, id="word")
                yield Static(HINT, markup=False, classes="hint")

    def begin(self) -> None:
        self.query_one("#result").display = False
        super().begin()

    @property
    def how(self) -> How | None:
        return None if self.index is None else tuple(How)[self.index]

    def on_choice_changed(self) -> None:
        if self.how is not None:
            self.question("how").note = self._says[self.how]
            self.question("result").display = self.how is How.CONFIRM and not self.undo
            self.query_one("#word TextField", TextField).placeholder = f"type {self.how}"

    def _result(self) -> Any:
        text = self.question("result").text.strip()
        if not text:
            raise UsageError("needed: JSON; null if it returned nothing")
        return parse_json(text)

    def finish(self) -> None:
        how = self.how
        if how is None or self.gone:
            self.complain_of_choice()
            return
        wrong: dict[Question, str] = {}
        result: Any = None
        if how is How.CONFIRM and not self.undo:
            try:
                result = self._result()
            except UsageError as error:
                wrong[self.question("result")] = show(str(error), 200)
        reason = self.question("reason").text.strip()
        if not reason:
            wrong[self.question("reason")] = "say why: it is recorded with your name"
        if self.question("word").text != how:
            wrong[self.question("word")] = f"only the word {how} confirms"
        if wrong:
            self.complain(wrong)
        else:
            self.dismiss(Settled(self.need.key, how, result, reason))
