"""How an open effect or obligation is judged: its row becomes a `Case`, the resolution table says the next step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tape.core.journal.tables import AttemptRow
from tape.core.journal.transaction import RunEdit, Tx, dump
from tape.core.kernel.policy import AskPolicy
from tape.core.kernel.resolution import Answer, Case, OnUnknown, Rule, Semantics, Step, resolve


def case_of(tx: Tx, row: Mapping[str, Any], asks: AskPolicy) -> Case:
    """Everything that the table depends on, read off the row and the transaction's time."""
    lifetime = row["key_lifetime_us"]
    return Case(
        semantics=Semantics(row["semantics"]),
        look_up=bool(row["look_up"]),
        answer=Answer(row["answer"]),
        authoritative=bool(row["authoritative"]),
        settled=tx.boot_us >= row["quiet_boot_us"] + row["settle_us"],
        body_over=bool(row["body_over"]),
        key_expired=lifetime is not None and tx.wall_us > row["first_us"] + lifetime,
        asks_left=row["asks"] < asks.max_asks,
        on_unknown=OnUnknown(row["on_unknown"]),
    )


def after_attempt(tx: Tx, row: Mapping[str, Any], asks: AskPolicy, *, body_over: bool) -> tuple[Rule, dict[str, Any]]:
    """The first step for an attempt whose outcome is not known, and the row's changes."""
    case = replace(case_of(tx, row, asks), answer=Answer.NONE, asks_left=True, settled=False, body_over=body_over)
    rule = resolve(case)
    changes: dict[str, Any] = {
        "body_over": int(body_over),
        "quiet_boot_us": tx.boot_us,
        "answer": str(Answer.NONE),
        "asks": 0,
        "step": str(rule.step),
        "next_boot_us": 0,
        "claim_by": "",
        "claim_until_boot_us": 0,
    }
    return rule, changes


def after_answer(tx: Tx, row: Mapping[str, Any], asks: AskPolicy, answer: Answer) -> tuple[Rule, dict[str, Any]]:
    """The step after a look-up's answer, and the row's changes; `next_boot_us` is when to ask again."""
    asked = {"answer": str(answer), "asks": row["asks"] + 1}
    rule = resolve(case_of(tx, {**dict(row), **asked}, asks))
    if rule.row == "N-settling":
        asked["asks"] = row["asks"]  # waiting for the settle delay is no failure to answer
        due = row["quiet_boot_us"] + row["settle_us"]
    else:
        due = tx.boot_us + asks.backoff.delay_us(asked["asks"]) if rule.step is Step.ASK_LATER else 0
    changes: dict[str, Any] = {
        **asked,
        "step": str(rule.step),
        "next_boot_us": due,
        "claim_by": "",
        "claim_until_boot_us": 0,
        "hook_crashes": 0,
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
    """Ends the attempt's row; False if it had ended before (an attempt ends once)."""
    attempt = run.tx.one(AttemptRow, run_no=run.no, key=key, what=what, number=number)
    if attempt is None or attempt["ended_us"] is not None:
        return False
    changes = {"ended_us": run.tx.wall_us, "how": how, "evidence": "" if evidence is None else dump(evidence)}
    run.tx.update(AttemptRow, changes, run_no=run.no, key=key, what=what, number=number)
    return True


def count_attempts(run: RunEdit, key: str, what: str) -> int:
    return len(run.tx.rows(AttemptRow, run_no=run.no, key=key, what=what))
