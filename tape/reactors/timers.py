"""Timers: fires what is due, gates' time-outs too, late if need be, never early, each once."""

from __future__ import annotations

from tape.core.journal.alarms import set_off
from tape.core.journal.work import DueGate, DueTimer
from tape.core.kernel.errors import Refused
from tape.reactors.reactor import Desk

BATCH = 200
"""How many are fired in one commit: it must not keep the agents' own writes waiting."""
ROUND = 2_000
"""How many are fired in one tick: the other reactors have their turn in between."""


class Timers:
    name = "timers"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def tick(self) -> int:
        work, now, moved = self._desk.work, self._desk.clock.wall_us(), 0
        due: list[DueTimer | DueGate] = [*work.timers(now, ROUND), *work.gates(now, ROUND)]
        for start in range(0, len(due), BATCH):
            moved += self._set_off(due[start : start + BATCH])
        return moved

    def _set_off(self, due: list[DueTimer | DueGate]) -> int:
        try:
            return self._desk.call(lambda tx: set_off(tx, due))
        except Refused:  # one that cannot be fired holds up no others
            return sum(self._desk.try_call(lambda tx, one=one: set_off(tx, [one])) or 0 for one in due)
