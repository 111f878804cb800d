"""Two tapes side by side."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tape.core.compare import Pair, Same
from tape.core.text import show
from tape.tui.compare_rows import headline, heads, pair_row, pairs_of
from tape.tui.ink import Ink, Row
from tape.tui.pane import Pane
from tape.tui.scene import Scene, Selected

FIXED_ROWS = 2
"""The headline, and an empty line under it."""


class ComparePane(Pane):
    """Both tapes in one list, so that they scroll together."""

    name_shown = "Compare"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "next_difference(1)", "next difference", show=False),
        Binding("N", "next_difference(-1)", "difference before", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.sides: tuple[Selected, Selected] | None = None
        self.pairs: tuple[Pair, ...] = ()

    def show(self, left: Selected, right: Selected) -> None:
        if self.sides is not None and self.sides[0] is left and self.sides[1] is right:
            return
        self.sides = (left, right)
        self.pairs = pairs_of(left, right)
        self.redraw()

    def title(self) -> str:
        if self.sides is None:
            return "Compare"
        return " with ".join(show(side.run.id, 20) for side in self.sides)

    def info(self) -> Row:
        keys: Row = (("n", Ink.KEY), (" next difference  ", Ink.MUTED), ("esc", Ink.KEY), (" back", Ink.MUTED))
        return keys

    def head(self, width: int) -> Row | None:
        return heads(*self.sides, width) if self.sides else None

    def count(self) -> int:
        return len(self.pairs) + FIXED_ROWS if self.sides else 0

    def row(self, index: int, width: int) -> Row:
        if index < FIXED_ROWS:
            return self._headline() if index == 0 else ()
        return pair_row(self.pairs[index - FIXED_ROWS], width)

    def _headline(self) -> Row:
        if self.sides is None:
            return ()
        text, same = headline(self.pairs, *self.sides)
        return ((f" {text}", Ink.SUCCESS if same else Ink.WARNING),)

    def empty(self) -> list[Row]:
        return [((" reading both tapes …", Ink.MUTED),)]

    def action_next_difference(self, step: int) -> None:
        places = [at + FIXED_ROWS for at, pair in enumerate(self.pairs) if pair.same is not Same.SAME]
        ahead = [at for at in places if (at - self.cursor) * step > 0]
        if ahead:
            self.select(ahead[0] if step > 0 else ahead[-1])


class CompareScreen(ModalScreen[None]):
    """Shows the tapes of two runs for as long as scenes of both come in; other runs that come by are not looked at."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,equals_sign", "dismiss", "back", show=False),
    ]

    def __init__(self, left: str, right: str, scene: Scene, *, plain_glyphs: bool) -> None:
        super().__init__()
        self._ids = (left, right)
        self._scene = scene
        self._plain_glyphs = plain_glyphs

    def compose(self) -> ComposeResult:
        self.pane = ComparePane(id="compare")
        self.pane.plain_glyphs = self._plain_glyphs
        yield self.pane

    def on_mount(self) -> None:
        self.set_focus(self.pane)
        self.show(self._scene)

    def show(self, scene: Scene) -> None:
        self._scene = scene
        left, right = scene.other, scene.selected
        if self.is_mounted and left is not None and right is not None and (left.run.id, right.run.id) == self._ids:
            self.pane.show(left, right)
