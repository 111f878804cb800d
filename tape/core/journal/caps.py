"""Caps: an agent declares its own, a person raises one (contract.md, invariant I10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tape.core.journal.purses import CALLS, CAP_LIMIT, MONEY, calls_unit
from tape.core.journal.tables import BudgetRow, ReservationRow
from tape.core.journal.transaction import Row, RunEdit, Tx, edit_run, load
from tape.core.kernel.errors import Refused, UsageError
from tape.core.kernel.events import BudgetRaised, LeaseGranted
from tape.core.kernel.lifecycle import EFFECT_ENDS, RUN_ENDS, EffectStatus

_FAMILY_CALLS = """
WITH RECURSIVE family(no) AS (
  SELECT :run_no UNION ALL SELECT run.no FROM run JOIN family ON run.parent_no = family.no
)
SELECT effect.key, effect.status FROM effect JOIN family ON effect.run_no = family.no
WHERE effect.tool = :tool AND NOT effect.inherited AND effect.status <> 'FAILED' ORDER BY effect.key
"""


def first_rows(caps: Mapping[str, int]) -> list[dict[str, int | str | None]]:
    """The budget rows of a new run, without its number: tokens and dollars always, calls of a tool where they have a
    cap."""
    return [
        {"unit": unit, "cap": caps.get(unit), "reserved": 0, "spent": 0, "lost": 0}
        for unit in (*MONEY, *sorted(unit for unit in caps if unit not in MONEY))
    ]


def declare_caps(run: RunEdit, caps: Mapping[str, int], *, gated: bool = False) -> None:
    """The caps of the agent's own budget, once per run, when it is first taken up: the smaller one holds. What a run of
    an older release has spent before counts. `gated`: where a cap of this run's is in the way, whoever set it and
    whichever descendant asks, a person is asked."""
    if run["caps_known"]:
        return
    for unit, cap in sorted(caps.items()):
        _check(unit, cap)
        row = _row(run, unit)
        smaller = cap if row["cap"] is None else min(cap, row["cap"])
        _set(run, row, max(smaller, row["spent"] + row["reserved"]))
    run.set(caps_known=1, gated=int(gated))


def set_caps(tx: Tx, run_id: str, caps: Mapping[str, int], actor: str, reason: str) -> dict[str, int]:
    """A person sets caps of a run: they hold from its next ask or act on. Never below what is spent and held back
    already. Returns the caps by unit."""
    if not caps:
        raise UsageError("no cap is given: say which with --usd, --tokens or --calls TOOL=N")
    run = edit_run(tx, run_id)
    if run["end_status"] is not None or run.status in RUN_ENDS:
        raise Refused(f"{run_id} has ended ({run['end_status'] or run.status}): it spends nothing any more")
    for unit, cap in sorted(caps.items()):
        _check(unit, cap)
        row = _row(run, unit)
        used = row["spent"] + row["reserved"]
        if cap < used:
            raise Refused(
                f"{run_id} has used up {_amount(unit, used)} already ({_amount(unit, row['spent'])} spent, "
                f"{_amount(unit, row['reserved'])} reserved): set the cap to that or more, not to {_amount(unit, cap)}"
            )
        _set(run, row, cap)
        run.record(BudgetRaised(unit=unit, was=row["cap"], cap=cap, actor=actor, reason=reason))
    run.save()
    return {row["unit"]: row["cap"] for row in tx.rows(BudgetRow, run_no=run.no) if row["cap"] is not None}


def caps_by_grant(
    entries: Iterable[Row | dict[str, Any]], rows: Iterable[Row | dict[str, Any]]
) -> list[tuple[int, dict[str, int | None]]]:
    """The caps as each drive found them, by the seq from which on it wrote: what a person changed meanwhile holds at
    once, and is seen by the agent's code from the next drive on, at the same place in every later one."""
    told = [row for row in entries if row["kind"] in (LeaseGranted.kind, BudgetRaised.kind)]
    caps: dict[str, int | None] = {row["unit"]: row["cap"] for row in rows}
    found: list[tuple[int, dict[str, int | None]]] = []
    for row in sorted(told, key=lambda row: row["id"], reverse=True):
        body = load(row["body"])
        if row["kind"] == LeaseGranted.kind:
            found.append((body["next_seq"], dict(caps)))
        else:
            caps[body["unit"]] = body["was"]
    return found[::-1]


def _check(unit: str, cap: int) -> None:
    if type(cap) is not int or not 0 <= cap <= CAP_LIMIT:
        raise UsageError(f"a cap on {unit} is a whole number from 0 to {CAP_LIMIT}, not {cap!r}")
    if unit not in MONEY and (not unit.startswith(CALLS) or unit == CALLS):
        raise UsageError(f"{unit!r} is no unit of a budget: tokens, usd_micro, or calls:<tool>")


def _amount(unit: str, number: int) -> str:
    if unit == "usd_micro":
        return f"${number / 1_000_000:.6f}".rstrip("0").rstrip(".")
    return f"{number} {'tokens' if unit == 'tokens' else f'calls of {unit.removeprefix(CALLS)}'}"


def _row(run: RunEdit, unit: str) -> Row:
    """The run's row of this unit; a new one for calls counts those made so far, its descendants' as well."""
    tx = run.tx
    row = tx.one(BudgetRow, run_no=run.no, unit=unit)
    if row is None:
        tool = unit.removeprefix(CALLS)
        made = tx.connection.execute(_FAMILY_CALLS, {"run_no": run.no, "tool": tool}).fetchall()
        still_open = [call["key"] for call in made if call["status"] not in EFFECT_ENDS]
        spent = sum(call["status"] == EffectStatus.CONFIRMED for call in made)
        fresh = {"run_no": run.no, "unit": calls_unit(tool), "cap": None, "lost": 0}
        tx.insert(BudgetRow, {**fresh, "reserved": len(still_open), "spent": spent})
        for key in still_open:
            tx.insert(ReservationRow, {"run_no": run.no, "place": key, "unit": unit, "amount": 1})
        row = tx.one(BudgetRow, run_no=run.no, unit=unit)
        assert row is not None
    return row


def _set(run: RunEdit, row: Row, cap: int) -> None:
    expected = {"reserved": row["reserved"], "spent": row["spent"]}
    run.tx.update(BudgetRow, {"cap": cap}, run_no=run.no, unit=row["unit"], **expected)
