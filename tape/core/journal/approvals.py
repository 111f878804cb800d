"""Approvals: a gate's answer that is bound to one exact call, and used up by it (contract.md section 1, gate).

The SDK decides from the tape, so that it is the same on replay; here the same is checked once more, in the transaction
of the `effect_begun`: an agent that is wrong about it begins nothing.
"""

from __future__ import annotations

from tape.core.journal.tables import EntryRow, GateRow
from tape.core.journal.transaction import Row, RunEdit, load
from tape.core.kernel.errors import UsageError
from tape.core.kernel.lifecycle import GateStatus

UNUSED = ""


def use_approval(run: RunEdit, key: str, tool: str, args_hash: str, approval: str | None, *, needed: bool) -> None:
    """Uses up the approval (`name ordinal`) for the effect `key`. Without one, the tool must need none: neither by its
    declaration (`needed`) nor because a gate of this run was bound to it. Raises UsageError."""
    rows = [row for row in run.tx.rows(GateRow, run_no=run.no) if row["approves"]]
    guarded = needed or any(load(row["approves"])["tool"] == tool for row in rows)
    if approval is None:
        if guarded:
            raise UsageError(f"{key} needs an approval of exactly these arguments, and names none: nothing was begun")
        return
    row = next((row for row in rows if f"{row['name']} {row['ordinal']}" == approval), None)
    wrong = "there is no such gate" if row is None else _unfit(run, row, tool, args_hash)
    if row is None or wrong:
        raise UsageError(f"{key} is not approved by gate {approval}: {wrong}; nothing was begun")
    where = {"run_no": run.no, "name": row["name"], "ordinal": row["ordinal"]}
    run.tx.update(GateRow, {"used_by": key}, **where, status=str(GateStatus.ANSWERED), used_by=UNUSED)


def _unfit(run: RunEdit, row: Row, tool: str, args_hash: str) -> str:
    """Why the gate's answer does not approve this call; empty if it does."""
    approves = load(row["approves"])
    if row["status"] != GateStatus.ANSWERED:
        return f"it is {row['status']}"
    if row["answer"] != load(row["options"])[0]:
        return f"its answer is {row['answer']}"
    if (approves["tool"], approves["args_hash"]) != (tool, args_hash):
        return "it is bound to another call"
    if row["used_by"] != UNUSED:
        return f"it was used up by {row['used_by']}"
    return "its answer was taken over from another run" if _void(run, row) else ""


def _void(run: RunEdit, row: Row) -> bool:
    """Whether the answer came with the tape that this run was forked from: it approves nothing here."""
    if run["source_id"] is None:
        return False
    for entry in run.tx.rows(EntryRow, run_no=run.no, kind="gate_answered"):
        answered = load(entry["body"])
        if (answered["name"], answered["ordinal"]) == (row["name"], row["ordinal"]):
            return bool(answered.get("void"))
    return False
