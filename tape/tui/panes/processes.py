"""Pane 5: the agent processes and the leases they hold."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from tape.tui.ink import Ink, Row
from tape.tui.pane import Pane
from tape.tui.rows import lease_row, process_row
from tape.tui.scene import Phase, ProcessRow, Scene

if TYPE_CHECKING:
    from tape.core.story import LeaseFact


class ProcessesPane(Pane):
    number = "5"
    name_shown = "Leases, processes"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.processes: tuple[ProcessRow, ...] = ()
        self.then: tuple[LeaseFact, ...] | None = None
        self.read_only = False

    def show(self, scene: Scene) -> None:
        then = scene.selected.story.leases if scene.selected is not None and scene.selected.at is not None else None
        read_only = scene.phase is Phase.READ_ONLY
        if scene.processes is not self.processes or then is not self.then or read_only is not self.read_only:
            self.read_only = read_only
            self.processes, self.then = scene.processes, then
            self.redraw()

    @property
    def process(self) -> ProcessRow | None:
        known = self.processes if self.then is None else ()
        return known[self.cursor] if self.cursor < len(known) else None

    def info(self) -> Row:
        return (("as of then", Ink.ACCENT),) if self.then is not None else ()

    def count(self) -> int:
        return len(self.processes if self.then is None else self.then)

    def row(self, index: int, width: int) -> Row:
        if self.then is not None:
            return lease_row(self.then[index], here=self.points_at(index))
        return process_row(self.processes[index], here=self.points_at(index), width=width)

    def key_of(self, index: int) -> Hashable | None:
        return self.processes[index].worker if self.then is None else self.then[index].epoch

    def empty(self) -> list[Row]:
        if self.read_only:
            return [((" none: this journal is only looked at", Ink.MUTED),)]
        return [((" the agent runs in a process of its own; starting …", Ink.MUTED),)]
