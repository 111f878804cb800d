"""What is due: the reactors' read side. Read-only SQL on a connection of its own; frozen dataclasses out."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tape.core.clock import format_us
from tape.core.journal.lists import OPEN
from tape.core.kernel.errors import JournalUnavailable

SQLITE_RELEASE = sqlite3.sqlite_version


@dataclass(frozen=True, slots=True)
class DueRun:
    id: str
    crashes: int


@dataclass(frozen=True, slots=True)
class LateLease:
    run_id: str
    epoch: int
    worker_no: int


@dataclass(frozen=True, slots=True)
class DueHook:
    """One effect or obligation to be worked on. `effect` is what the hook gets, without attempt and epoch."""

    run_id: str
    key: str
    tool: str
    step: str
    hook_crashes: int
    effect: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StaleClaim:
    run_id: str
    key: str
    claim_epoch: int
    duty: bool


@dataclass(frozen=True, slots=True)
class DueTimer:
    run_no: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class DueGate:
    """A gate that nobody has answered in time."""

    run_no: int
    name: str
    ordinal: int


_WORK = "effect INDEXED BY effect_work CROSS JOIN run ON run.no = effect.run_no AND effect.step <> ''"
_DUTY = (
    "obligation INDEXED BY obligation_work CROSS JOIN run ON run.no = obligation.run_no "
    "AND obligation.status IN ('DUE', 'CLAIMED')"
)
# Every text walks a partial index and says its condition word for word: an idle journal costs the same however many
# runs have ended, and however many wait for a person or a timer.
_EFFECT = f"""
SELECT run.id AS run_id, effect.key, effect.tool, effect.step, effect.hook_crashes, effect.business_key,
       effect.decision_index, effect.ordinal, entry.body, entry.at_us
FROM {_WORK} CROSS JOIN entry ON entry.id = effect.begun_id
"""
_LOOK_UPS = (
    _EFFECT
    + f"""
WHERE {OPEN} AND run.status IN ('WAITING', 'STUCK') AND effect.status IN ('PENDING', 'UNKNOWN')
  AND effect.step IN ('ask', 'ask_later') AND effect.next_boot_us <= :now AND effect.claim_by = ''
ORDER BY effect.begun_id
"""
)
_DISPATCHES = (
    _EFFECT
    + f"""
WHERE {OPEN} AND run.status IN ('RUNNABLE', 'RUNNING', 'WAITING', 'STUCK') AND effect.status IN ('PENDING', 'UNKNOWN')
  AND effect.dispatch = 'outbox' AND effect.step = 'again' AND effect.next_boot_us <= :now AND effect.claim_by = ''
ORDER BY effect.begun_id
"""
)
_DUTIES = f"""
SELECT run.id AS run_id, obligation.key, effect.tool, obligation.step, obligation.hook_crashes, effect.business_key,
       effect.decision_index, effect.ordinal, begun.body, begun.at_us, obligation.act, ended.body AS ended
FROM {_DUTY} JOIN effect ON effect.run_no = run.no AND effect.key = obligation.effect_key
JOIN entry AS begun ON begun.id = effect.begun_id LEFT JOIN entry AS ended ON ended.id = effect.ended_id
WHERE {OPEN}
  AND obligation.status = 'DUE' AND obligation.next_boot_us <= :now
  AND (run.end_status IS NULL OR run.children_open = 0)
ORDER BY run.no, obligation.position DESC, obligation.key DESC
"""
_STALE = f"""
SELECT run.id AS run_id, effect.key, effect.claim_epoch, 0 AS duty
FROM {_WORK}
WHERE {OPEN} AND effect.status IN ('PENDING', 'UNKNOWN')
  AND effect.claim_by <> '' AND effect.claim_until_boot_us <= :now
UNION ALL
SELECT run.id, obligation.key, obligation.claim_epoch, 1
FROM {_DUTY}
WHERE {OPEN}
  AND obligation.status = 'CLAIMED' AND obligation.claim_until_boot_us <= :now
"""
_RUNNABLE = f"""
SELECT id, crashes FROM run INDEXED BY run_open
WHERE {OPEN} AND status = 'RUNNABLE' AND next_boot_us <= :now ORDER BY no LIMIT :most
"""
_LATE = f"""
SELECT id AS run_id, epoch, worker_no FROM run INDEXED BY run_open
WHERE {OPEN} AND status = 'RUNNING' AND lease_until_boot_us <= :now AND worker_no IS NOT NULL
"""
_TIMERS = """
SELECT run_no, ordinal FROM timer WHERE status = 'SET' AND fire_us <= :now ORDER BY fire_us LIMIT :most
"""
_GATES = """
SELECT run_no, name, ordinal FROM gate INDEXED BY gate_due
WHERE status = 'OPEN' AND deadline_us IS NOT NULL AND deadline_us <= :now ORDER BY deadline_us LIMIT :most
"""
_UNDONE = f"""
SELECT run.id FROM run INDEXED BY run_open WHERE {OPEN} AND run.status = 'COMPENSATING' AND run.children_open = 0
AND NOT EXISTS (
  SELECT 1 FROM obligation WHERE obligation.run_no = run.no AND obligation.status IN ('DUE', 'CLAIMED'))
"""
_OUTLIVED = f"""
SELECT DISTINCT run.id FROM {_WORK}
WHERE {OPEN} AND run.status IN ('RUNNABLE', 'WAITING', 'STUCK') AND effect.status IN ('PENDING', 'UNKNOWN')
  AND effect.step = 'again' AND effect.attempts > 0 AND effect.claim_by = '' AND effect.semantics = 'idempotent'
  AND effect.first_us + effect.key_lifetime_us < :now
"""
_LIVE_WORKERS = "SELECT no, nonce, pid, host FROM worker WHERE status <> 'DEAD'"
STATEMENTS = (
    _LOOK_UPS,
    _DISPATCHES,
    _DUTIES,
    _STALE,
    _RUNNABLE,
    _LATE,
    _TIMERS,
    _GATES,
    _UNDONE,
    _OUTLIVED,
    _LIVE_WORKERS,
)


class Work:
    """Reads what is due. One thread at a time. Times are boot microseconds, for timers wall microseconds."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row

    def _rows(self, sql: str, **values: int) -> list[sqlite3.Row]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise JournalUnavailable(f"the journal cannot be read: {error}") from None

    def runnable(self, now: int, most: int) -> list[DueRun]:
        return [DueRun(row["id"], row["crashes"]) for row in self._rows(_RUNNABLE, now=now, most=most)]

    def late_leases(self, now: int) -> list[LateLease]:
        return [LateLease(row["run_id"], row["epoch"], row["worker_no"]) for row in self._rows(_LATE, now=now)]

    def look_ups(self, now: int) -> list[DueHook]:
        return [_hook(row) for row in self._rows(_LOOK_UPS, now=now)]

    def dispatches(self, now: int) -> list[DueHook]:
        return [_hook(row) for row in self._rows(_DISPATCHES, now=now)]

    def duties(self, now: int) -> list[DueHook]:
        return [_duty(row) for row in self._rows(_DUTIES, now=now)]

    def stale_claims(self, now: int) -> list[StaleClaim]:
        rows = self._rows(_STALE, now=now)
        return [StaleClaim(row["run_id"], row["key"], row["claim_epoch"], bool(row["duty"])) for row in rows]

    def timers(self, wall_us: int, most: int) -> list[DueTimer]:
        return [DueTimer(row["run_no"], row["ordinal"]) for row in self._rows(_TIMERS, now=wall_us, most=most)]

    def gates(self, wall_us: int, most: int) -> list[DueGate]:
        rows = self._rows(_GATES, now=wall_us, most=most)
        return [DueGate(row["run_no"], row["name"], row["ordinal"]) for row in rows]

    def undone(self) -> list[str]:
        """Compensating runs in which nothing is due or claimed any more."""
        return [row["id"] for row in self._rows(_UNDONE)]

    def outlived(self, wall_us: int) -> list[str]:
        """Runs with a body that is to run again though the upstream may have forgotten its key: `recheck_keys`."""
        return [row["id"] for row in self._rows(_OUTLIVED, now=wall_us)]

    def live_workers(self) -> list[tuple[int, str, int, str]]:
        """Workers that nobody has declared dead: number, nonce, pid, host."""
        return [(row["no"], row["nonce"], row["pid"], row["host"]) for row in self._rows(_LIVE_WORKERS)]

    def close(self) -> None:
        self._connection.close()


def _hook(row: sqlite3.Row) -> DueHook:
    body = orjson.loads(row["body"])
    return DueHook(
        row["run_id"], row["key"], row["tool"], row["step"], row["hook_crashes"], _effect(row, body, None, None)
    )


def _duty(row: sqlite3.Row) -> DueHook:
    body = orjson.loads(row["body"])
    result = orjson.loads(row["ended"]).get("result") if row["ended"] else None
    act = orjson.loads(row["act"]) if row["act"] else result
    return DueHook(
        row["run_id"], row["key"], row["tool"], row["step"], row["hook_crashes"], _effect(row, body, result, act)
    )


def _effect(row: sqlite3.Row, begun: dict[str, Any], result: Any, act: Any) -> dict[str, Any]:
    return {
        "key": begun["key"],
        "tool": row["tool"],
        "args": begun["args"],
        "run_id": row["run_id"],
        "decision_index": begun["decision_index"],
        "call_ordinal": begun["ordinal"],
        "business_key": row["business_key"],
        "begun_at": format_us(row["at_us"]),
        "result": result,
        "act": act,
    }
