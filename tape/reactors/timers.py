"""Timers: fires what is due, late if need be, never early, each once."""

from __future__ import annotations

from tape.core.journal import records
from tape.core.kernel.errors import Refused
from tape.reactors.reactor import Desk

BATCH = 200


class Timers:
    name = "timers"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def tick(self) -> int:
        desk, moved = self._desk, 0
        for due in desk.work.timers(desk.clock.wall_us(), BATCH):
            try:
                desk.call(lambda tx, due=due: records.fire_timer(tx, due.run_no, due.ordinal))
                moved += 1
            except Refused:
                continue  # another host fired it
        return moved
