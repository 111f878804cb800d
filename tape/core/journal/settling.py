"""How an open effect or obligation is judged: its row becomes a `Case`, the resolution table says the next step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from tape.core.journal.tables import AttemptRow
from tape.core.journal.transaction import RunEdit, Tx, dump
from tape.core.kernel.resolution import Answer, Case, OnUnknown, Rule, Semantics, Step, effective, resolve

FREE: dict[str, Any] = {"claim_by": "", "claim_until_boot_us": 0}
"""The columns of a claim that has ended."""


class Columns(Protocol):
    """A row of the database, or a mapping in its place."""

    def __getitem__(self, name: str, /) -> Any: ...


def fresh(
    tx: Tx,
    *,
    semantics: str,
    look_up: int,
    authoritative: int,
    settle_us: int,
    on_unknown: str = OnUnknown.ASK,
    key_lifetime_us: int | None = None,
) -> dict[str, Any]:
    """The columns by which an effect or obligation is settled, before its first attempt."""
    return {
        "semantics": str(semantics),
        "look_up": int(look_up),
        "authoritative": int(authoritative),
        "settle_us": settle_us,
        "on_unknown": str(on_unknown),
        "key_lifetime_us": key_lifetime_us,
        "attempts": 0,
        "first_us": tx.wall_us,
        "body_over": 1,
        "quiet_boot_us": 0,
        "asked_boot_us": 0,
        "answer": str(Answer.NONE),
        "asks": 0,
        "step": "",
        "next_boot_us": 0,
        "claim_epoch": 0,
        **FREE,
        "hook_crashes": 0,
    }


def case_of(tx: Tx, row: Columns, *, answer: Answer | None = None, asks: int | None = None) -> Case:
    """Everything that the table depends on, read off the row and the transaction's time. The settle delay must have
    been over when the look-up began: an answer may be older than its arrival."""
    lifetime = row["key_lifetime_us"]
    return Case(
        semantics=Semantics(row["semantics"]),
        look_up=bool(row["look_up"]),
        answer=Answer(row["answer"]) if answer is None else answer,
        authoritative=bool(row["authoritative"]),
        settled=row["asked_boot_us"] >= row["quiet_boot_us"] + row["settle_us"],
        body_over=bool(row["body_over"]),
        key_expired=lifetime is not None and tx.wall_us > row["first_us"] + lifetime,
        asks_left=(row["asks"] if asks is None else asks) < tx.asks.max_asks,
        on_unknown=OnUnknown(row["on_unknown"]),
    )


def semantics_of(tx: Tx, row: Columns) -> Semantics:
    """As declared, but non_idempotent once the upstream has forgotten the key."""
    return effective(case_of(tx, row))


def outlived(tx: Tx, row: Columns) -> bool:
    """The body was to run again because the upstream honours the key, and the key has run out meanwhile."""
    if row["key_lifetime_us"] is None or row["step"] != Step.AGAIN or not row["attempts"] or row["claim_by"]:
        return False
    return resolve(case_of(tx, row)).step is not Step.AGAIN and semantics_of(tx, row) != row["semantics"]


def after_attempt(tx: Tx, row: Columns, *, body_over: bool) -> tuple[Rule, dict[str, Any]]:
    """The first step for an attempt whose outcome is not known, and the row's changes."""
    case = replace(case_of(tx, row, answer=Answer.NONE, asks=0), settled=False, body_over=body_over)
    rule = resolve(case)
    changes: dict[str, Any] = {
        "body_over": int(body_over),
        "quiet_boot_us": tx.boot_us,
        "answer": str(Answer.NONE),
        "asks": 0,
        "step": str(rule.step),
        "next_boot_us": 0,
        **FREE,
    }
    return rule, changes


def after_answer(tx: Tx, row: Columns, answer: Answer) -> tuple[Rule, dict[str, Any]]:
    """The step after a look-up's answer, and the row's changes; `next_boot_us` is when to ask again. An answer gives
    the claim's count back, but it clears no deaths: those in the body would never add up."""
    asks: int = row["asks"] + 1
    rule = resolve(case_of(tx, row, answer=answer, asks=asks))
    due = 0
    if rule.row == "N-settling":
        asks -= 1  # waiting for the settle delay is no failure to answer
        due = row["quiet_boot_us"] + row["settle_us"]
    elif rule.step is Step.ASK_LATER:
        due = tx.boot_us + tx.asks.backoff.delay_us(asks)
    changes: dict[str, Any] = {
        "answer": str(answer),
        "asks": asks,
        "step": str(rule.step),
        "next_boot_us": due,
        "hook_crashes": max(0, row["hook_crashes"] - 1),
        **FREE,
    }
    return rule, changes


def begin_attempt(run: RunEdit, key: str, what: str, number: int, *, by: str, worker_no: int | None) -> None:
    """The attempt's row; durable before anything is entered (invariant I4)."""
    run.tx.insert(
        AttemptRow,
        {
            "run_no": run.no,
            "key": key,
            "what": what,
            "number": number,
            "by": by,
            "worker_no": worker_no,
            "epoch": run.epoch,
            "started_us": run.tx.wall_us,
            "ended_us": None,
            "how": "",
            "evidence": "",
        },
    )


def close_attempt(run: RunEdit, key: str, what: str, number: int, how: str, evidence: Any = None) -> bool:
    """Ends the attempt's row; False if it had ended before (an attempt ends once). `how` is never empty."""
    changes = {"ended_us": run.tx.wall_us, "how": how, "evidence": "" if evidence is None else dump(evidence)}
    where = {"run_no": run.no, "key": key, "what": what, "number": number}
    return run.tx.update_all(AttemptRow, changes, **where, how="") == 1


def count_attempts(run: RunEdit, key: str, what: str) -> int:
    return len(run.tx.rows(AttemptRow, run_no=run.no, key=key, what=what))
