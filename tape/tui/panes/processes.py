"""Pane 5: the agent processes and the leases they hold."""

from __future__ import annotations

from collections.abc import Hashable

from tape.tui.ink import Ink, Row
from tape.tui.pane import Pane
from tape.tui.rows import process_row
from tape.tui.scene import ProcessRow, Scene


class ProcessesPane(Pane):
    number = "5"
    name_shown = "Leases, processes"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.processes: tuple[ProcessRow, ...] = ()

    def show(self, scene: Scene) -> None:
        if scene.processes is not self.processes:
            self.processes = scene.processes
            self.redraw()

    @property
    def process(self) -> ProcessRow | None:
        return self.processes[self.cursor] if self.cursor < len(self.processes) else None

    def count(self) -> int:
        return len(self.processes)

    def row(self, index: int, width: int) -> Row:
        return process_row(self.processes[index], here=self.points_at(index), width=width)

    def key_of(self, index: int) -> Hashable | None:
        return self.processes[index].worker

    def empty(self) -> list[Row]:
        return [((" the agent runs in a process of its own; starting …", Ink.MUTED),)]
