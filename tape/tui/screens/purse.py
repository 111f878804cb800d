"""The caps of a run: what it has spent, holds back and has lost, and another cap for one unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tape.core.kernel.errors import UsageError
from tape.core.text import money, show
from tape.tui.run_words import purse_word
from tape.tui.scene import Scene
from tape.tui.screens.choice import Choice
from tape.tui.screens.dialog import Dialog
from tape.tui.screens.question import Question
from tape.tui.screens.text_field import TextField

if TYPE_CHECKING:
    from tape.core.journal.dump import BudgetView

HINT = "left and right choose    enter goes on    esc leaves the caps alone"
LIMIT = 10**15
UNITS_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Cap:
    """`unit` and `cap` as the journal has them."""

    unit: str
    cap: int
    reason: str


class PurseScreen(Dialog[Cap]):
    """Answers with the cap that is wanted; None if none is. `tools` have caps on their calls, or may get one. Where
    something `waits_for` a cap, these are its unit, the only one that is asked for, and what is enough."""

    def __init__(
        self,
        run_id: str,
        purse: Sequence[BudgetView],
        tools: Sequence[str],
        waits_for: tuple[str, int] | None = None,
    ) -> None:
        super().__init__()
        self._run_id, self._purse = run_id, tuple(purse)
        calls = [row.unit for row in purse if row.unit.startswith("calls:")]
        self._waits_for = waits_for
        self._units = (
            (waits_for[0],)
            if waits_for
            else tuple(dict.fromkeys(("usd_micro", "tokens", *calls, *(f"calls:{tool}" for tool in tools))))
        )

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False) as box:
            box.border_title = Content(f"Caps of {show(self._run_id, 20)}")
            yield Static(self._told(), markup=False, classes="says", id="purse")
            names = [show(name_of(unit), UNITS_SHOWN) for unit in self._units]
            yield Question("cap on", Choice(names), required=True, id="unit")
            yield Question("new cap", TextField(), required=True, note=" ", id="cap")
            note = "recorded with your name; may stay empty"
            yield Question("reason", TextField(), note=note, id="reason")
            yield Static(HINT, markup=False, classes="hint")

    def begin(self) -> None:
        choice = self.query_one(Choice)
        self.set_focus(choice)
        if self._waits_for is not None:
            choice.choose(0)

    def _told(self) -> str:
        if self._waits_for is not None:  # what is known of another run's purse: what it has lost is not
            (row,) = [row for row in self._purse if row.unit == self._waits_for[0]]
            parts = (("spent", row.spent), ("held", row.reserved), ("cap", row.cap or 0))
            return "  ".join(f"{word} {shown(row.unit, amount)}" for word, amount in parts)
        return "\n".join(purse_word(row)[0] for row in self._purse) or "nothing is capped and nothing is spent"

    def show(self, scene: Scene) -> None:
        """The purse as it is now."""
        selected = scene.selected
        mine = selected is not None and selected.run.id == self._run_id
        if self.composed and selected is not None and mine and selected.budget != self._purse:
            self._purse = selected.budget
            self.query_one("#purse", Static).update(self._told())

    @property
    def unit(self) -> str | None:
        index = self.query_one(Choice).index
        return None if index is None else self._units[index]

    def on_choice_changed(self) -> None:
        unit = self.unit
        known = next((row for row in self._purse if row.unit == unit), None)
        now = "none now" if known is None or known.cap is None else f"{shown(str(unit), known.cap)} now"
        form = "dollars, such as 2.50" if unit == "usd_micro" else "a whole number"
        if self._waits_for is not None:
            form = f"{shown(*self._waits_for)} is enough"
        self.query_one("#cap", Question).note = f"{now}; {form}"

    def finish(self) -> None:
        unit, cap = self.unit, self.query_one("#cap", Question)
        wrong: dict[Question, str] = {}
        number = 0
        if unit is None:
            wrong[self.query_one("#unit", Question)] = "choose one: left and right"
        try:
            number = cap_of(unit or "", cap.text.strip())
        except UsageError as error:
            wrong[cap] = str(error)
        if unit is None or wrong:
            self.complain(wrong)
        else:
            self.dismiss(Cap(unit, number, self.query_one("#reason", Question).text.strip()))


def name_of(unit: str) -> str:
    return "usd" if unit == "usd_micro" else unit.replace("calls:", "calls of ")


def shown(unit: str, cap: int) -> str:
    return money(cap) if unit == "usd_micro" else f"{cap:,}"


def cap_of(unit: str, text: str) -> int:
    """The cap that was written, in the journal's unit. Raises UsageError."""
    if unit == "usd_micro":
        try:
            micro = Decimal(text.removeprefix("$")) * 1_000_000
        except DecimalException:
            raise UsageError("an amount of dollars, such as 2.50") from None
        if not micro.is_finite() or not 0 <= micro <= LIMIT or micro != micro.to_integral_value():
            raise UsageError("an amount of dollars, not negative, such as 2.50")
        return int(micro)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LIMIT))):
        raise UsageError("a whole number, not negative")
    return int(text)
