"""Purses, from inside verbs: what a run may spend, what is held back for asks and acts under way, what is spent and
lost, in its own rows and in those of every ancestor (contract.md, invariant I10).

Held back before the model is asked or a body entered; settled in the transaction of the record that pays. A crash keeps
what is held back. `place` is `decision 3` or an effect's key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tape.core.journal import capwaits
from tape.core.journal.capwaits import Shortage as Shortage
from tape.core.journal.tables import BudgetRow, ReservationRow, RunRow
from tape.core.journal.transaction import Row, RunEdit, Tx
from tape.core.kernel.errors import Refused, UsageError
from tape.core.kernel.events import BudgetLost, BudgetOverrun, BudgetRefused, Charge
from tape.core.kernel.lifecycle import GateStatus

TOKENS, USD_MICRO = "tokens", "usd_micro"
MONEY = (TOKENS, USD_MICRO)
"""The units that every run counts, capped or not."""
CALLS = "calls:"
COST_LIMIT = 1 << 40
CAP_LIMIT = 1 << 53

_REFUSALS = (
    "SELECT count(*) FROM entry WHERE run_no = :run_no AND kind = 'budget_refused' "
    "AND json_extract(body, '$.place') = :place"
)
_DROP = "DELETE FROM reservation WHERE run_no = :run_no AND place = :place AND unit = :unit AND amount = :amount"


@dataclass(frozen=True, slots=True)
class Usage:
    """What one reply or act cost."""

    tokens_in: int = 0
    tokens_out: int = 0
    usd_micro: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one ask costs at most; None is not known."""

    tokens: int | None = None
    usd_micro: int | None = None

    def of(self, unit: str) -> int | None:
        return self.tokens if unit == TOKENS else self.usd_micro


@dataclass(frozen=True, slots=True)
class _Purse:
    """The budget rows of a run or of one of its ancestors, by unit. `gated`: where its caps are in the way, a person is
    asked."""

    no: int
    run_id: str
    rows: dict[str, Row]
    gated: bool

    def place_of(self, run: RunEdit, place: str) -> str:
        """How a reservation of the run is called here: decisions of a descendant carry its name."""
        return place if self.no == run.no or "/" in place else f"{run.id}/{place}"


NO_LIMITS = Limits()


def calls_unit(tool: str) -> str:
    return f"{CALLS}{tool}"


def _purses(run: RunEdit) -> list[_Purse]:
    """The run's own purse, then its ancestors', nearest first."""
    tx = run.tx
    found = [_Purse(run.no, run.id, _rows(tx, run.no), bool(run["gated"]))]
    parent_no: int | None = run["parent_no"]
    while parent_no is not None:
        parent = tx.one(RunRow, no=parent_no)
        assert parent is not None, "a run's parent is never removed before it"
        found.append(_Purse(parent["no"], parent["id"], _rows(tx, parent["no"]), bool(parent["gated"])))
        parent_no = parent["parent_no"]
    return found


def _rows(tx: Tx, run_no: int) -> dict[str, Row]:
    return {row["unit"]: row for row in tx.rows(BudgetRow, run_no=run_no)}


def is_capped(run: RunEdit) -> bool:
    """Whether any cap may stand in the way of this run: its own or an ancestor's."""
    return any(row["cap"] is not None for purse in _purses(run) for row in purse.rows.values())


def _held(tx: Tx, run_no: int, place: str) -> dict[str, int]:
    return {row["unit"]: row["amount"] for row in tx.rows(ReservationRow, run_no=run_no, place=place)}


# --- holding back -----------------------------------------------------------------------------------------------


def reserve(run: RunEdit, place: str, wants: Mapping[str, int | None], fingerprint: str) -> dict[str, int] | None:
    """Holds `wants` back in every purse that has the unit, all or nothing; None wants all that is left. Returns what
    is held by unit, without units that nobody has capped; or None: a cap is in the way. Then the refusal is recorded,
    or, if every such cap may be raised by a person and nobody has refused that yet, that this place waits for one."""
    purses = _purses(run)
    gated = any(purse.gated for purse in purses)
    granted, short = _fit(purses, wants)
    wait = capwaits.known_wait(run, place) if gated else None
    denied = wait is not None and wait["status"] == GateStatus.ANSWERED
    strict = [one for one in short if not one.gated]
    if short and not strict and not denied:
        capwaits.await_cap(run, place, wants, short[0], wait)
        return None
    if wait is not None:
        capwaits.forget_wait(run.tx, wait)
    if wait is not None and denied:
        _refuse(run, place, _as_answered(purses, wait), fingerprint, wait)
        return None
    if strict:
        _refuse(run, place, strict[0], fingerprint)
        return None
    for unit, amount in granted.items():
        for purse in purses:
            if amount and unit in purse.rows:
                _change(run.tx, purse.rows[unit], reserved=amount)
                held = {"run_no": purse.no, "place": purse.place_of(run, place), "unit": unit, "amount": amount}
                run.tx.insert(ReservationRow, held)
    return granted


def _fit(purses: list[_Purse], wants: Mapping[str, int | None]) -> tuple[dict[str, int], list[Shortage]]:
    """What is to be held back by unit, and every cap that leaves too little for that."""
    granted: dict[str, int] = {}
    short: list[Shortage] = []
    for unit, want in wants.items():
        capped = [(purse, purse.rows[unit]) for purse in purses if unit in purse.rows]
        capped = [(purse, row) for purse, row in capped if row["cap"] is not None]
        if not capped:
            continue
        asked = max(1, min(_left(row) for _, row in capped)) if want is None else want
        granted[unit] = asked
        short += [_shortage(purse, unit, asked) for purse, row in capped if _left(row) < asked]
    return granted, short


def shortages(run: RunEdit, wants: Mapping[str, int | None]) -> list[Shortage]:
    """The caps that would be in the way of this now, those of the run itself first."""
    return _fit(_purses(run), wants)[1]


def _shortage(purse: _Purse, unit: str, asked: int) -> Shortage:
    row = purse.rows[unit]
    return Shortage(purse.no, purse.run_id, purse.gated, unit, asked, row["cap"], row["spent"], row["reserved"])


def _as_answered(purses: list[_Purse], wait: Row) -> Shortage:
    """The cap that a person would not raise, with its numbers as they are."""
    purse = next(purse for purse in purses if purse.no == wait["purse_no"])
    return _shortage(purse, wait["unit"], wait["asked"])


def _left(row: Row) -> int:
    return row["cap"] - row["spent"] - row["reserved"]


def _change(tx: Tx, row: Row, *, reserved: int = 0, spent: int = 0, lost: int = 0) -> None:
    """Adds to the row; refused if it is not as it was read."""
    added = {"reserved": reserved, "spent": spent, "lost": lost}
    changes = {name: row[name] + amount for name, amount in added.items() if amount}
    if changes:
        was = {name: row[name] for name in added}
        tx.update(BudgetRow, changes, run_no=row["run_no"], unit=row["unit"], **was)


def _refuse(run: RunEdit, place: str, short: Shortage, fingerprint: str, denied: Row | None = None) -> None:
    """`denied`: what a person has answered."""
    refused = BudgetRefused(
        place=place,
        ordinal=run.tx.connection.execute(_REFUSALS, {"run_no": run.no, "place": place}).fetchone()[0],
        unit=short.unit,
        asked=short.asked,
        cap=short.cap,
        spent=short.spent,
        reserved=short.reserved,
        run=short.run_id,
        fingerprint=fingerprint,
        actor=denied["actor"] if denied is not None else "",
        reason=denied["reason"] if denied is not None else "",
    )
    run.record(refused)


# --- settling ---------------------------------------------------------------------------------------------------


def charge(run: RunEdit, pays_for: str, usage: Usage, *, goes_on: bool = False, beside: bool = False) -> None:
    """The charge's record, and what it settles. `goes_on`: another attempt may follow, for which the rest of what is
    held back is kept. `beside`: it pays for an effect that the run does not wait for, whose end stands beside the tape,
    too, and may come after the run's own."""
    amounts = (usage.tokens_in, usage.tokens_out, usage.usd_micro)
    if not all(0 <= amount < COST_LIMIT for amount in amounts):
        raise UsageError(f"{run.id}: {pays_for} cannot have cost {amounts}: report what the model's reply says")
    run.record(_charge(pays_for, usage), beside=beside)
    _settle(run, pays_for, _bill(usage), goes_on=goes_on)


def _charge(pays_for: str, usage: Usage) -> Charge:
    return Charge(pays_for=pays_for, tokens_in=usage.tokens_in, tokens_out=usage.tokens_out, usd_micro=usage.usd_micro)


def _bill(usage: Usage) -> dict[str, int]:
    return {TOKENS: usage.tokens_in + usage.tokens_out, USD_MICRO: usage.usd_micro}


def settle_effect(run: RunEdit, effect: Row, *, confirmed: bool, usage: Usage | None) -> None:
    """The end of an effect: a confirmed one spends what was reported, else what its tool declares, and its call; one
    that is certainly not in effect gives both back, and pays only for what was reported."""
    key: str = effect["key"]
    if usage is None and confirmed and effect["cost_micro"] is not None:
        usage = Usage(usd_micro=effect["cost_micro"])
    if usage is not None:
        charge(run, key, usage, goes_on=True, beside=not effect["awaited"])
    _settle(run, key, {calls_unit(effect["tool"]): 1} if confirmed else {})


def lose_ask(run: RunEdit, place: str, limits: Limits) -> None:
    """A reply that nobody has seen is taken at what was held back for it, or without a cap at what one ask costs at
    most, if that is known."""
    held = _held(run.tx, run.no, place)
    lost = {unit: held.get(unit) or limits.of(unit) or 0 for unit in MONEY}
    if any(lost.values()):
        run.record(BudgetLost(place=place, tokens=lost[TOKENS], usd_micro=lost[USD_MICRO]))
        _settle(run, place, lost, lost=True)


def lose_open_asks(run: RunEdit) -> None:
    """The run ends: what is held back for a model whose reply never came may have been spent."""
    places = {row["place"] for row in run.tx.rows(ReservationRow, run_no=run.no)}
    for place in sorted(place for place in places if place.startswith("decision ")):
        lose_ask(run, place, NO_LIMITS)


def _settle(run: RunEdit, place: str, bill: Mapping[str, int], *, goes_on: bool = False, lost: bool = False) -> None:
    """Spends the bill in every purse and gives back what was held for this place; with `goes_on` only as much of it as
    the bill has used."""
    purses, freed = _purses(run), False
    for purse in purses:
        held_as = purse.place_of(run, place)
        held = _held(run.tx, purse.no, held_as)
        for unit in [*bill, *(unit for unit in held if unit not in bill)]:
            row, amount, kept = purse.rows.get(unit), bill.get(unit, 0), held.get(unit, 0)
            if row is None:
                if amount and unit in MONEY:
                    raise Refused(f"{purse.run_id} has no budget row {unit}")
                continue
            back = min(kept, amount) if goes_on else kept
            freed |= back > amount
            if back:
                _give_back(run.tx, purse.no, held_as, unit, kept, back)
            _change(run.tx, row, reserved=-back, spent=amount, lost=amount if lost else 0)
            above = amount - kept
            over = -1 if row["cap"] is None else row["spent"] + row["reserved"] + amount - back - row["cap"]
            if above > 0 and over > 0:
                run.record(BudgetOverrun(place=place, unit=unit, by=min(above, over), run=purse.run_id))
    if freed and any(purse.gated for purse in purses):
        capwaits.mark_family(run.tx, purses[-1].no)


def _give_back(tx: Tx, run_no: int, place: str, unit: str, kept: int, back: int) -> None:
    where = {"run_no": run_no, "place": place, "unit": unit, "amount": kept}
    if back < kept:
        tx.update(ReservationRow, {"amount": kept - back}, **where)
    elif tx.connection.execute(_DROP, where).rowcount != 1:
        raise Refused(f"the reservation of {unit} for {place} is not as expected")
