"""Child runs: how a run starts another one (api.md section 1). What follows from their ends stands in `course`.

A child is an ordinary run, with a lease, effects and keys of its own; only its end is its parent's business too.
"""

from __future__ import annotations

from typing import Any

from tape.core.journal.runs import Parent, start_run
from tape.core.journal.tables import RunRow
from tape.core.journal.transaction import Tx, edit_leased
from tape.core.kernel import identity
from tape.core.kernel.errors import CancelRequested, Refused, UsageError
from tape.core.kernel.events import ChildStarted, RunStarted
from tape.core.kernel.policy import CHILDREN_LIMIT, DEPTH_LIMIT


def start_child(
    tx: Tx, run_id: str, epoch: int, ordinal: int, agent: str, input: Any, fingerprint: str
) -> tuple[int, str]:
    """The next child of a run that is being driven: its row, its first record and its parent's `child_started`, in one
    transaction. Returns the seq on the parent's tape, and the child's id."""
    run = edit_leased(tx, run_id, epoch)
    if run["cancel"]:
        raise CancelRequested(f"{run_id} is being cancelled")
    children: int = run["children"]
    if ordinal != children:
        raise Refused(f"{run_id}: child {ordinal} where {children} is next")
    if children >= CHILDREN_LIMIT:
        raise UsageError(f"{run_id} has {children} children: that is the limit of one run")
    if run["depth"] >= DEPTH_LIMIT:
        raise UsageError(f"{run_id} is {run['depth']} runs deep: that is the limit")
    parent = Parent(run.no, run_id, ordinal, run["depth"], run["quarantine"])
    child = start_run(tx, agent, input, parent=parent)
    run.record(ChildStarted(ordinal=ordinal, child=child, agent=agent, input=input, fingerprint=fingerprint))
    run.set(children=children + 1, children_open=run["children_open"] + 1)
    run.save()
    return run.seq, child


def lineage(tx: Tx, run_no: int | None) -> list[str]:
    """What the run and its ancestors were asked, as fingerprints, the run's own first: none of them is asked again by
    a descendant. A fork of a child has the ancestors of that child: it may not ask what its source could not ask."""
    found: list[str] = []
    while run_no is not None:
        started = tx.event(run_no=run_no, seq=1)
        assert isinstance(started, RunStarted)
        found.append(identity.fingerprint("child", started.agent, started.input))
        run_no = _above(tx, run_no)
    return found


def _above(tx: Tx, run_no: int) -> int | None:
    """The run that started it, or what it was forked from."""
    row = tx.one(RunRow, no=run_no)
    while row is not None and row["parent_no"] is None and row["source_id"] is not None:
        row = tx.one(RunRow, id=row["source_id"])
    return None if row is None else row["parent_no"]
