"""Asks and calls that wait for a person to raise a cap, as rows, from inside verbs. Nothing of them stands on the tape:
the run asks again when the cap is raised, and its tape is that of a run whose cap was never in the way.

What is decided about them stands in `capgates`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tape.core.journal.tables import CapWaitRow
from tape.core.journal.transaction import Row, RunEdit, Tx, dump
from tape.core.kernel import lifecycle
from tape.core.kernel.errors import Refused
from tape.core.kernel.events import BudgetAwaited, BudgetDenied
from tape.core.kernel.lifecycle import GateStatus, GateTrigger

_FORGET = "DELETE FROM cap_wait WHERE run_no = :run_no AND place = :place AND status = :status"
_FAMILY = """
WITH RECURSIVE family(no) AS (
  SELECT :run_no UNION ALL SELECT run.no FROM run JOIN family ON run.parent_no = family.no
)
"""
_OPEN_IN_FAMILY = f"""{_FAMILY}
SELECT cap_wait.* FROM family JOIN cap_wait ON cap_wait.run_no = family.no
WHERE cap_wait.status = 'OPEN' ORDER BY cap_wait.since_us, cap_wait.run_no, cap_wait.place
"""
_ANY = "SELECT 1 FROM cap_wait LIMIT 1"
_MARK = f"""{_FAMILY}
UPDATE cap_wait SET recheck = 1
WHERE status = 'OPEN' AND recheck = 0 AND run_no IN (SELECT no FROM family)
"""


@dataclass(frozen=True, slots=True)
class Shortage:
    """A cap that is in the way of an ask or a call: whose, of which unit, and with what it leaves too little. `gated`:
    a person may be asked to raise it."""

    purse_no: int
    run_id: str
    gated: bool
    unit: str
    asked: int
    cap: int
    spent: int
    reserved: int

    @property
    def enough(self) -> int:
        """The least cap that lets it go ahead."""
        return self.spent + self.reserved + self.asked


def known_wait(run: RunEdit, place: str) -> Row | None:
    return run.tx.one(CapWaitRow, run_no=run.no, place=place)


def open_waits(tx: Tx, run_no: int) -> list[Row]:
    return tx.rows(CapWaitRow, run_no=run_no, status=str(GateStatus.OPEN))


def waits_in_family(tx: Tx, run_no: int) -> list[Row]:
    """What waits in this run and its descendants, the longest first."""
    return tx.connection.execute(_OPEN_IN_FAMILY, {"run_no": run_no}).fetchall()


def await_cap(
    run: RunEdit, place: str, wants: Mapping[str, int | None], short: Shortage, known: Row | None = None
) -> None:
    """Nothing begins: the run is to park, and a person is asked. `known`: it has waited before."""
    if known is None:
        row = {"run_no": run.no, "place": place, "status": str(GateStatus.OPEN), "since_us": run.tx.wall_us}
        said = {"actor": "", "reason": "", "recheck": 0}
        run.tx.insert(CapWaitRow, {**row, **said, "wants": dump(dict(wants)), **_in_the_way(short)})
    else:  # by code that may have been mended, and wants something else now
        look_at(run.tx, known, short, wants=dump(dict(wants)))
    run.record(
        BudgetAwaited(
            place=place,
            unit=short.unit,
            asked=short.asked,
            cap=short.cap,
            spent=short.spent,
            reserved=short.reserved,
            run=short.run_id,
        )
    )


def _in_the_way(short: Shortage) -> dict[str, int | str]:
    return {"unit": short.unit, "asked": short.asked, "purse_no": short.purse_no}


def look_at(tx: Tx, wait: Row, short: Shortage | None, **renewed: str) -> None:
    """It has been looked at: this is in its way now. None if nothing is: then its run goes on, or when what else holds
    it is over."""
    where = {"run_no": wait["run_no"], "place": wait["place"], "status": wait["status"]}
    found = {} if short is None else _in_the_way(short)
    tx.update(CapWaitRow, {**found, **renewed, "recheck": 0}, **where)


def deny_wait(run: RunEdit, wait: Row, actor: str, reason: str) -> None:
    """The person's answer; what waits gets it when it is asked for again."""
    was = GateStatus(wait["status"])
    status = lifecycle.step(lifecycle.GATE, was, GateTrigger.ANSWER)
    changes = {"status": str(status), "actor": actor, "reason": reason, "recheck": 0}
    run.tx.update(CapWaitRow, changes, run_no=run.no, place=wait["place"], status=str(was))
    run.record(BudgetDenied(place=wait["place"], actor=actor, reason=reason))


def forget_wait(tx: Tx, wait: Row) -> None:
    """It waits no more: it goes ahead, has its refusal, or the run does not come to it."""
    where = {"run_no": wait["run_no"], "place": wait["place"], "status": wait["status"]}
    if tx.connection.execute(_FORGET, where).rowcount != 1:
        raise Refused(f"what waits for a cap at {wait['place']} is not as expected")


def forget_waits(run: RunEdit) -> None:
    """The run ends: it asks for nothing any more."""
    for wait in run.tx.rows(CapWaitRow, run_no=run.no):
        forget_wait(run.tx, wait)


def mark_family(tx: Tx, root_no: int) -> None:
    """Money was given back to these purses: what waits there is looked at again. Changes no run: any of them may be
    open in the verb that pays."""
    if tx.connection.execute(_ANY).fetchone() is not None:
        tx.connection.execute(_MARK, {"run_no": root_no})
