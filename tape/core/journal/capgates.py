"""A cap as a gate: a person raises it, and what it held up is asked for again at once; or will not, and the agent gets
its refusal (contract.md, invariant I10: nothing is held back beyond a cap, whoever waits)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tape.core.journal.caps import set_caps
from tape.core.journal.capwaits import deny_wait, forget_wait, known_wait, look_at, open_waits, waits_in_family
from tape.core.journal.course import resettle
from tape.core.journal.purses import Shortage, shortages
from tape.core.journal.tables import RunRow
from tape.core.journal.transaction import Row, RunEdit, Tx, edit_run, edit_run_no, load
from tape.core.kernel.errors import Refused
from tape.core.kernel.lifecycle import RUN_ENDS, GateStatus, RunStatus

WAIT = "budget"
"""How a parked run names one: `budget decision 3`, `budget <effect key>`."""
_GOES_ON = frozenset({RunStatus.RUNNABLE, RunStatus.RUNNING})


def raise_caps(tx: Tx, run_id: str, caps: Mapping[str, int], actor: str, reason: str) -> dict[str, Any]:
    """A person sets caps (`set_caps`). What waited for them, in this run or a descendant, goes on in this transaction
    if it fits now and nothing else holds the run. Returns `{caps, woken, waiting}`: the caps by unit, the runs that go
    on, and what still waits, as
    `{run, place, budget, unit, asked, cap, spent, reserved, enough}`: `enough` is the least cap on `budget`'s unit
    that lets it go ahead."""
    known = set_caps(tx, run_id, caps, actor, reason)
    edits: dict[int, RunEdit] = {}
    fits: dict[int, bool] = {}
    waiting: list[dict[str, Any]] = []
    for wait in waits_in_family(tx, edit_run(tx, run_id).no):
        run = edits.setdefault(wait["run_no"], edit_run_no(tx, wait["run_no"]))
        short = _looked_at(run, wait)
        fits[run.no] = fits.get(run.no, False) or short is None
        if short is not None:
            waiting.append(_still(run, wait, short))
    woken: list[str] = []
    for run in edits.values():
        if fits[run.no]:
            resettle(run, f"a cap of {run_id} was raised")
            run.save()
            woken += [run.id] if run.status in _GOES_ON else []
    return {"caps": known, "woken": woken, "waiting": waiting}


def _looked_at(run: RunEdit, wait: Row) -> Shortage | None:
    """What is in its way now, kept with it; None if nothing is."""
    short = next(iter(shortages(run, load(wait["wants"]))), None)
    look_at(run.tx, wait, short)
    return short


def _still(run: RunEdit, wait: Row, short: Shortage) -> dict[str, Any]:
    numbers = {name: getattr(short, name) for name in ("unit", "asked", "cap", "spent", "reserved", "enough")}
    return {"run": run.id, "place": wait["place"], "budget": short.run_id, **numbers}


def deny_caps(tx: Tx, run_id: str, actor: str, reason: str) -> dict[str, Any]:
    """A person will not raise the caps that this run waits for: whatever waits in it is refused, now and on replay.
    Returns `{denied}`, the places. Raises Refused if nothing waits."""
    run = edit_run(tx, run_id)
    if run["end_status"] is not None or run.status in RUN_ENDS:
        raise Refused(f"{run_id} has ended ({run['end_status'] or run.status}): it waits for nothing any more")
    waits = open_waits(tx, run.no)
    if not waits:
        raise Refused(f"{run_id} waits for no cap: nothing is to be denied{_whose(tx, run.no)}")
    for wait in waits:
        deny_wait(run, wait, actor, reason)
    resettle(run, f"{actor} will not raise the cap")
    run.save()
    return {"denied": [wait["place"] for wait in waits]}


def _whose(tx: Tx, run_no: int) -> str:
    """Which descendant draws from its budget and waits, if one does."""
    numbers = {wait["run_no"] for wait in waits_in_family(tx, run_no)}
    rows = [tx.one(RunRow, no=number) for number in sorted(numbers)]
    named = ", ".join(row["id"] for row in rows if row is not None)
    return f"; {named} waits for its budget: `tape budget {named.partition(',')[0]} --deny`" if named else ""


def recheck_waits(tx: Tx, run_id: str) -> bool:
    """Money has been given back since the run began to wait: it goes on if that is enough. False if it is not, or
    something else holds the run, too."""
    run = edit_run(tx, run_id)
    fits = [_looked_at(run, wait) is None for wait in open_waits(tx, run.no) if wait["recheck"]]
    if not any(fits):
        return False
    resettle(run, "money was given back to the budget")
    run.save()
    return run.status in _GOES_ON


def keep_waits(run: RunEdit, parked_for: Iterable[str]) -> None:
    """The run parks: what its code did not come to in this drive waits no more."""
    places = {wait.partition(" ")[2] for wait in parked_for if wait.partition(" ")[0] == WAIT}
    for wait in open_waits(run.tx, run.no):
        if wait["place"] not in places:
            forget_wait(run.tx, wait)


def still_awaits(run: RunEdit, place: str) -> bool:
    """Whether nobody has answered yet, and the cap is still in the way."""
    wait = known_wait(run, place)
    if wait is None or wait["status"] != GateStatus.OPEN:
        return False
    return bool(shortages(run, load(wait["wants"])))
