"""`e`: what is to be written to a file."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option


class What(StrEnum):
    RECORD = "record"
    RUN = "run"
    SCREEN = "screen"


class ExportScreen(ModalScreen[What | None]):
    """A choice of three, of which those that have nothing to write are left out. Names are safe text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back", show=False),
        Binding("1", "choose('record')", "the selected line", show=False),
        Binding("2", "choose('run')", "the whole run", show=False),
        Binding("3", "choose('screen')", "the screen", show=False),
        Binding("j", "cursor(1)", "down", show=False),
        Binding("k", "cursor(-1)", "up", show=False),
    ]

    def __init__(self, record: str | None, run: str | None, folder: str) -> None:
        super().__init__()
        self._folder = folder
        self._choices: dict[What, str] = {}
        if record is not None:
            self._choices[What.RECORD] = f"1  {record}, as JSON"
        if run is not None:
            self._choices[What.RUN] = f"2  the whole run {run}: story and entries, as JSON"
        self._choices[What.SCREEN] = "3  the screen, as SVG"

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog", id="export")
        box.border_title = Content("Export").markup
        with box:
            yield OptionList(
                *(Option(Content(says), id=str(what)) for what, says in self._choices.items()), markup=False
            )
            yield Static(Content(f"to {self._folder}   enter writes, esc leaves"), classes="hint", markup=False)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        if message.option_id is not None:
            self.action_choose(message.option_id)

    def action_choose(self, what: str) -> None:
        if What(what) in self._choices:
            self.dismiss(What(what))

    def action_cursor(self, step: int) -> None:
        options = self.query_one(OptionList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()
