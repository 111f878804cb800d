"""What a call in a fork gets instead of being made: the source's own word on such a call, or a value of its type."""

from __future__ import annotations

from typing import Any

from tape.core.journal.outcomes import Ending, close_effect
from tape.core.journal.tables import EffectRow, RunRow
from tape.core.journal.transaction import Row, Tx, edit_leased
from tape.core.kernel.events import EffectEnded
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.resolution import Resolution, Writer


def end_in_quarantine(tx: Tx, run_id: str, epoch: int, key: str, made: Any) -> tuple[int, Ending] | None:
    """Ends an effect in the transaction in which it began, so that none is ever open: nobody enters its body, looks it
    up, dispatches or undoes it. `made` is used where the source has no result of this tool. Returns seq and outcome;
    None if no such effect has begun (a record says why)."""
    run = edit_leased(tx, run_id, epoch)
    effect = tx.one(EffectRow, run_no=run.no, key=key)
    if effect is None:
        return None
    recorded = _recorded(tx, run["source_id"], effect)
    ending = Ending(EffectStatus.CONFIRMED, result=made if recorded is None else recorded.result)
    close_effect(run, effect, ending, Resolution.RETURNED, Writer.AGENT, "")
    run.save()
    return run.seq, ending


def _recorded(tx: Tx, source_id: str | None, effect: Row) -> EffectEnded | None:
    """The newest result of this tool with these arguments, else with any, in the runs that this one was forked from."""
    ends: list[tuple[bool, int]] = []
    while source_id is not None:
        source = tx.one(RunRow, id=source_id)
        if source is None:
            break
        confirmed = tx.rows(EffectRow, run_no=source["no"], tool=effect["tool"], status=str(EffectStatus.CONFIRMED))
        ends += [(row["args_hash"] == effect["args_hash"], row["ended_id"]) for row in confirmed]
        source_id = source["source_id"]
    for _, ended_id in sorted(ends, reverse=True):
        ended = tx.event(id=ended_id)
        if isinstance(ended, EffectEnded) and ended.result_error is None:
            return ended
    return None
