"""Effects that are left to themselves (fire-and-forget): no run waits for their end, and they may outlive theirs.

What becomes of them where a run ends: one that has been dispatched is settled like any other, and then undone if the
run failed or was cancelled. One that has not been is certainly not in effect. Of a run that failed it is dropped if it
would be undone anyway, else it is still dispatched: the outcome never depends on how quick the outbox was. A person who
cancels a run wants no new act of it: nothing is dispatched any more.
"""

from __future__ import annotations

from tape.core.journal.duties import duties_of
from tape.core.journal.outcomes import Ending, close_effect
from tape.core.journal.tables import EffectRow
from tape.core.journal.transaction import Row, RunEdit, Tx
from tape.core.kernel.lifecycle import EffectStatus, ObligationStatus
from tape.core.kernel.resolution import Dispatch, Resolution, Step, Writer

OUT_OF_THE_OUTBOX = frozenset({Step.PERSON, Step.COMPENSATE})
"""Steps of an outbox effect that later ones of its run do not wait for: a person or its undo has the next word."""


def left_effects(tx: Tx, run_no: int) -> list[Row]:
    """The open effects of a run that it does not wait for."""
    return [
        row
        for status in (EffectStatus.PENDING, EffectStatus.UNKNOWN)
        for row in tx.rows(EffectRow, run_no=run_no, status=str(status), awaited=0)
    ]


def drop_undispatched(run: RunEdit, writer: Writer, why: str, *, undoable_only: bool) -> None:
    """Ends, FAILED, what no dispatch has been started of: it is certainly not in effect."""
    for effect in sorted(left_effects(run.tx, run.no), key=lambda row: row["begun_id"]):
        if effect["attempts"] or (undoable_only and not _undone_if_done(run, effect)):
            continue
        error = {"type": "EffectFailed", "message": f"it was not dispatched any more: {why}"}
        close_effect(run, effect, Ending(EffectStatus.FAILED, error=error), Resolution.DROPPED, writer, "")


def _undone_if_done(run: RunEdit, effect: Row) -> bool:
    return any(duty["auto"] and duty["status"] == ObligationStatus.ARMED for duty in duties_of(run, effect["key"]))


def ahead_of(tx: Tx, run_no: int, effect: Row) -> Row | None:
    """The outbox effect of the run that must be through before this one is dispatched: they are dispatched in the order
    in which they were begun, one at a time. None: it is this one's turn."""
    for status in (EffectStatus.PENDING, EffectStatus.UNKNOWN):
        for other in tx.rows(EffectRow, run_no=run_no, status=str(status), dispatch=str(Dispatch.OUTBOX)):
            earlier = other["begun_id"] < effect["begun_id"] and other["step"] not in OUT_OF_THE_OUTBOX
            dispatched = other["key"] != effect["key"] and other["claim_by"] and other["step"] == Step.AGAIN
            if earlier or dispatched:
                return other
    return None
