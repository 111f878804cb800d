"""What a call in a fork gets instead of being made: the source's own word on such a call, or a value of its type."""

from __future__ import annotations

import json
from typing import Any

from tape.core.journal.outcomes import Ending, close_effect
from tape.core.journal.records import sources_of
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
    recorded = _recorded(tx, _history(tx, run.row), effect, run["agent"])
    ending = Ending(EffectStatus.CONFIRMED, result=made if recorded is None else recorded.result)
    close_effect(run, effect, ending, Resolution.RETURNED, Writer.AGENT, "")
    run.save()
    return run.seq, ending


def _history(tx: Tx, row: Row | None) -> list[str]:
    """What the run was forked from, nearest first; for a child of a fork what that fork was."""
    while row is not None and row["source_id"] is None:
        row = tx.one(RunRow, no=row["parent_no"]) if row["parent_no"] is not None else None
    return [] if row is None else sources_of(tx, row["source_id"])


_RESULTS = """
WITH RECURSIVE family(no, agent) AS (
    SELECT no, agent FROM run WHERE id IN (SELECT value FROM json_each(:sources))
    UNION SELECT run.no, run.agent FROM run JOIN family ON run.parent_no = family.no
)
SELECT effect.ended_id FROM family JOIN effect ON effect.run_no = family.no
WHERE effect.tool = :tool AND effect.status = 'CONFIRMED'
ORDER BY effect.args_hash = :args_hash DESC, family.agent = :agent DESC, effect.ended_id DESC
"""


def _recorded(tx: Tx, sources: list[str], effect: Row, agent: str) -> EffectEnded | None:
    """The newest result of this tool with these arguments, else with any, in the sources and their descendants: of
    this agent's, if there is one."""
    values = {"sources": json.dumps(sources), "agent": agent}
    values |= {"tool": effect["tool"], "args_hash": effect["args_hash"]}
    for (ended_id,) in tx.connection.execute(_RESULTS, values).fetchall():
        ended = tx.event(id=ended_id)
        if isinstance(ended, EffectEnded) and ended.result_error is None:
            return ended
    return None
