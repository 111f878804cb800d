"""`?`: the keys that hold now, the signs, and the way into the tour."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen

from tape.tui.help_rows import Act, Group, groups, help_rows
from tape.tui.ink import Ink, Row
from tape.tui.pane import Pane


class Wanted(StrEnum):
    """What the help was left for."""

    TOUR = "tour"


def acts_of(screen: Screen[None]) -> tuple[Act, ...]:
    """The acts that have a key where the focus is, as they are bound now."""
    found: dict[tuple[bool, str], Act] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.id is None:
            continue
        here = active.node is screen.focused
        place = (here, binding.id)
        key = key_text(screen, binding)
        known = found.get(place)
        keys = (*known.keys, key) if known else (key,)
        found[place] = Act(binding.id, keys, binding.description, here)
    return tuple(found.values())


def key_text(screen: Screen[None], binding: Binding) -> str:
    """A key as people write it: `^p`, `?`, `space`."""
    shown = screen.app.get_key_display(binding)  # pyright: ignore[reportUnknownMemberType]
    return {"⏎": "enter", "⌫": "backspace"}.get(shown, shown)


class HelpPane(Pane):
    """Lines to read; nothing to choose."""

    name_shown = "Help"
    has_cursor = False

    def __init__(self, found: Sequence[Group], notes: Sequence[Row], *, id: str) -> None:
        super().__init__(id=id)
        self._groups = found
        self._notes = notes
        self._made: tuple[int, list[Row]] = (-1, [])

    def rows(self) -> list[Row]:
        width = self.inner_width
        if self._made[0] != width:
            self._made = (width, help_rows(self._groups, self._notes, width))
        return self._made[1]

    def info(self) -> Row:
        keys: Row = (("t", Ink.KEY), (" tour  ", Ink.MUTED), ("j k", Ink.KEY), (" scroll  ", Ink.MUTED))
        return (*keys, ("esc", Ink.KEY), (" back", Ink.MUTED))

    def count(self) -> int:
        return len(self.rows())

    def row(self, index: int, width: int) -> Row:
        del width
        return self.rows()[index]


class HelpScreen(ModalScreen[Wanted | None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss", "back", show=False),
        Binding("t,enter", "tour", "take the tour", show=False, priority=True),
    ]

    def __init__(self, acts: Sequence[Act], where: str, keys_file: str, *, plain_glyphs: bool) -> None:
        super().__init__()
        self._groups = groups(acts, where)
        self._keys_file = keys_file
        self._plain_glyphs = plain_glyphs

    def compose(self) -> ComposeResult:
        notes: list[Row] = [
            (
                ("t", Ink.KEY),
                (" takes the five-minute tour: you kill an agent and see why the bank pays once", Ink.PLAIN),
            ),
            (("Everything here is in the palette too, with runs and themes: ", Ink.MUTED), ("^p", Ink.KEY)),
            ((f"Other keys: {self._keys_file} (docs/reference/console.md lists the names)", Ink.MUTED),),
            (("To select text with the mouse hold shift.", Ink.MUTED),),
        ]
        self.pane = HelpPane(self._groups, notes, id="help")
        self.pane.plain_glyphs = self._plain_glyphs
        yield self.pane

    def on_mount(self) -> None:
        self.set_focus(self.pane)

    def action_tour(self) -> None:
        self.dismiss(Wanted.TOUR)
