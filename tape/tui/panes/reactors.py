"""Pane 4: the five reactors."""

from __future__ import annotations

from collections.abc import Hashable

from tape.tui.ink import Ink, Row
from tape.tui.pane import Pane
from tape.tui.rows import reactor_row
from tape.tui.scene import Phase, ReactorRow, Scene


class ReactorsPane(Pane):
    number = "4"
    name_shown = "Reactors"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.reactors: tuple[ReactorRow, ...] = ()
        self.read_only = False

    def show(self, scene: Scene) -> None:
        read_only = scene.phase is Phase.READ_ONLY
        if scene.reactors is not self.reactors or read_only is not self.read_only:
            self.reactors, self.read_only = scene.reactors, read_only
            self.redraw()

    @property
    def reactor(self) -> ReactorRow | None:
        return self.reactors[self.cursor] if self.cursor < len(self.reactors) else None

    def info(self) -> Row:
        return () if self.read_only else ((f"{len(self.reactors)}/5", Ink.MUTED),)

    def count(self) -> int:
        return len(self.reactors)

    def row(self, index: int, width: int) -> Row:
        return reactor_row(self.reactors[index], here=self.points_at(index), width=width)

    def key_of(self, index: int) -> Hashable | None:
        return self.reactors[index].name

    def empty(self) -> list[Row]:
        if self.read_only:
            return [((" none: this journal is only looked at", Ink.MUTED),)]
        return [((" they settle what a crash left open; starting …", Ink.MUTED),)]
