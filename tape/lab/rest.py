"""Whether a family of runs has come to rest: nothing in it goes on unless a person or a timer moves it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tape.core.journal.dump import RunDump
from tape.core.kernel.lifecycle import RUN_ENDS, GateStatus, ObligationStatus, RunStatus, TimerStatus
from tape.core.kernel.resolution import Step
from tape.lab.family import Family

OWED = (ObligationStatus.DUE, ObligationStatus.CLAIMED)


def still(family: Family) -> bool:
    """No run is driven or about to be, and no effect or duty is in a reactor's hands."""
    return not any(_moves(dump) for dump in family.values())


def _moves(dump: RunDump) -> bool:
    status = RunStatus(dump.run.status)
    if status in RUN_ENDS:
        return False
    if any(effect.ended_us is None and effect.step != Step.PERSON for effect in dump.effects):
        return True
    if status is RunStatus.WAITING:
        return any(duty.status in OWED and duty.step != Step.PERSON for duty in dump.obligations)
    if status is RunStatus.COMPENSATING:
        return not dump.run.children_open  # its own undos begin when the last child is at its end
    return status is not RunStatus.STUCK


def due_us(family: Family) -> Iterator[int]:
    """When time itself moves a run of the family on: its timers, and the deadlines of its open gates."""
    for dump in family.values():
        if dump.run.status in RUN_ENDS:
            continue
        yield from (timer.fire_us for timer in dump.timers if timer.status == TimerStatus.SET)
        for gate in dump.gates:
            if gate.status == GateStatus.OPEN and gate.deadline_us:
                yield gate.deadline_us
