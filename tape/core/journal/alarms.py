"""What a clock sets off: timers, and gates whose time is over. Many in one transaction, each run's part whole."""

from __future__ import annotations

from collections.abc import Sequence

from tape.core.journal.gates import time_out_gate
from tape.core.journal.records import fire_set_timer
from tape.core.journal.transaction import Tx, edit_run_no
from tape.core.journal.work import DueGate, DueTimer


def set_off(tx: Tx, due: Sequence[DueTimer | DueGate]) -> int:
    """Fires what is due, each once, late if need be and never early; what somebody else was quicker with is left out.
    Returns how many fired."""
    fired = 0
    for alarm in due:
        run = edit_run_no(tx, alarm.run_no)
        if isinstance(alarm, DueTimer):
            done = fire_set_timer(run, alarm.ordinal)
        else:
            done = time_out_gate(run, alarm.name, alarm.ordinal)
        if done:
            run.save()
            fired += 1
    return fired
