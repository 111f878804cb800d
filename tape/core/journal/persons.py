"""A person's further decisions: an act of a run that goes on is undone, a conflict is closed."""

from __future__ import annotations

from tape.core.journal.duties import duties_of, move_obligation
from tape.core.journal.tables import ConflictRow, EffectRow
from tape.core.journal.transaction import Row, RunEdit, Tx, edit_run
from tape.core.kernel.errors import NotFound, Refused
from tape.core.kernel.events import ConflictClosed
from tape.core.kernel.lifecycle import EffectStatus, ObligationStatus, ObligationTrigger


def undo_effect(tx: Tx, run_id: str, key: str, reason: str) -> str:
    """The ARMED duty of a CONFIRMED effect becomes DUE: the act is undone while the run goes on, and the run's end
    waits for it. The agent's code sees nothing of it. Returns the run's status."""
    run = edit_run(tx, run_id)
    effect = tx.one(EffectRow, run_no=run.no, key=key)
    if effect is None:
        raise NotFound(f"no effect {key} in this journal: `tape doctor --dump-run {run_id}` lists them")
    if not effect["compensable"]:
        raise Refused(f"{key} cannot be undone: {effect['tool']} has no compensation")
    if effect["status"] != EffectStatus.CONFIRMED:
        raise Refused(f"{key} is {effect['status']}, not CONFIRMED: only what is in effect can be undone")
    if run["end_status"] is not None:
        raise Refused(f"{run_id} has ended ({run['end_status']}): only acts of a run that goes on are undone by order")
    if effect["inherited"] or run["quarantine"]:
        whose = f"it was done by {run['source_id']}" if effect["inherited"] else f"{run_id} is in quarantine"
        raise Refused(f"{key} was not done by this run, {whose}: there is nothing of it to undo")
    duty = _own_duty(run, key)
    if duty["status"] != ObligationStatus.ARMED:
        raise Refused(f"{duty['key']} is {duty['status']} already: {_HINTS[ObligationStatus(duty['status'])]}")
    move_obligation(run, duty, ObligationTrigger.OWE, f"a person orders it: {reason}", ordered=1)
    run.save()
    return run.status


_HINTS = {
    ObligationStatus.DUE: "it is going to be undone",
    ObligationStatus.CLAIMED: "it is being undone",
    ObligationStatus.DONE: "it has been undone",
    ObligationStatus.STUCK: "`tape resolve` it with --confirm, --fail or --retry",
    ObligationStatus.DROPPED: "a person has let the act stand",
}


def _own_duty(run: RunEdit, key: str) -> Row:
    """The duty of the effect's own act: the newest that is not for a surplus one."""
    return [duty for duty in duties_of(run, key) if not duty["act"]][-1]


def close_conflicts(tx: Tx, run_id: str, key: str, actor: str, reason: str) -> str:
    """A person has looked at what contradicts the record of this key: its open conflicts are closed, nothing else
    changes. Returns the run's status."""
    run = edit_run(tx, run_id)
    still_open = [row["no"] for row in tx.rows(ConflictRow, run_no=run.no, key=key) if row["closed_us"] is None]
    if not still_open:
        raise Refused(f"{key} has no open conflict: `tape status {run_id}` shows what needs a person")
    for number in still_open:
        tx.update(ConflictRow, {"closed_us": tx.wall_us}, no=number)
    run.record(ConflictClosed(key=key, actor=actor, reason=reason))
    run.save()
    return run.status
