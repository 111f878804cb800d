"""What is due: the reactors' read side. Read-only SQL on a connection of its own; frozen dataclasses out."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tape.core.clock import format_us
from tape.core.journal.blobs import SQL as BLOB_SQL
from tape.core.journal.blobs import Values
from tape.core.journal.lists import LAST_NO, OF_DUTIES, OF_EFFECTS, OPEN, OPEN_DUTY, OPEN_EFFECT
from tape.core.kernel.errors import JournalUnavailable

SQLITE_RELEASE = sqlite3.sqlite_version


@dataclass(frozen=True, slots=True)
class DueRun:
    no: int
    id: str
    crashes: int


@dataclass(frozen=True, slots=True)
class LateLease:
    run_id: str
    epoch: int
    worker_no: int


@dataclass(frozen=True, slots=True)
class DueHook:
    """One effect or obligation to be worked on. `effect` is what the hook gets, without attempt and epoch; `timeout_us`
    the time limit that an effect's tool declares."""

    run_id: str
    key: str
    tool: str
    step: str
    hook_crashes: int
    effect: dict[str, Any]
    timeout_us: int | None = None


@dataclass(frozen=True, slots=True)
class StaleClaim:
    """`proven`: the journal says that the worker of its attempt is certainly dead."""

    run_id: str
    key: str
    claim_epoch: int
    duty: bool
    proven: bool


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


# Every text walks a partial index and says its condition word for word: an idle journal costs the same however many
# runs have ended, and however many wait for a person or a timer.
_COLUMNS = """run.id AS run_id, effect.key, effect.tool, effect.step, effect.hook_crashes, effect.business_key,
       effect.decision_index, effect.ordinal, effect.timeout_us, effect.begun_id"""
_BEGUN = "CROSS JOIN entry ON entry.id ="
_LOOK_UPS = f"""
SELECT {_COLUMNS}, entry.body, entry.at_us FROM {OF_EFFECTS} {_BEGUN} effect.begun_id
WHERE {OPEN_EFFECT} AND (run.status IN ('WAITING', 'STUCK') OR effect.awaited = 0)
  AND effect.step IN ('ask', 'ask_later') AND effect.next_boot_us <= :now AND effect.claim_by = ''
ORDER BY effect.begun_id
"""
# Of each run the first that is not through: with min(), SQLite takes the other columns from that row.
_DISPATCHES = f"""
SELECT turn.*, entry.body, entry.at_us FROM (
  SELECT {_COLUMNS}, effect.next_boot_us, effect.claim_by, min(effect.begun_id) AS first FROM {OF_EFFECTS}
  WHERE {OPEN_EFFECT} AND effect.dispatch = 'outbox' AND effect.step NOT IN ('person', 'compensate')
  GROUP BY effect.run_no
) AS turn {_BEGUN} turn.begun_id
WHERE turn.step = 'again' AND turn.next_boot_us <= :now AND turn.claim_by = '' ORDER BY turn.begun_id
"""
# With max() the newest act of each run, and of one effect's duties the last. What `claim_duty` would refuse is left
# out: it may have to wait for a person, for ever. `_WAITS`: an open effect of the run comes first.
_WAITS = """(
  SELECT total(effect.step <> 'compensate' AND (effect.step <> 'again' OR effect.dispatch <> 'inline'))
    OR (count(*) AND NOT total(effect.step = 'compensate')) OR (turn.status = 'RUNNING' AND total(effect.awaited))
  FROM effect INDEXED BY effect_open WHERE effect.run_no = turn.run_no AND effect.status IN ('PENDING', 'UNKNOWN')
    AND (effect.awaited = 1 OR turn.end_status IN ('FAILED', 'CANCELLED'))
)"""
_DUTIES = f"""
SELECT turn.*, effect.tool, effect.business_key, effect.decision_index, effect.ordinal, begun.body, begun.at_us,
       ended.body AS ended
FROM (
  SELECT run.id AS run_id, run.no AS run_no, run.status, run.end_status, obligation.key, obligation.effect_key,
         obligation.step, obligation.hook_crashes, obligation.act, obligation.status AS duty, obligation.next_boot_us,
         total(obligation.status = 'CLAIMED') AS claimed,
         max((obligation.position << 20) + CAST(substr(obligation.key, length(obligation.effect_key) + 7) AS INTEGER))
  FROM {OF_DUTIES} WHERE {OPEN_DUTY} AND (run.end_status IS NULL OR run.children_open = 0)
  GROUP BY obligation.run_no
) AS turn JOIN effect ON effect.run_no = turn.run_no AND effect.key = turn.effect_key
JOIN entry AS begun ON begun.id = effect.begun_id LEFT JOIN entry AS ended ON ended.id = effect.ended_id
WHERE turn.duty = 'DUE' AND NOT turn.claimed AND turn.next_boot_us <= :now AND NOT {_WAITS}
ORDER BY turn.run_no
"""
_WORKER_OF_ATTEMPT = """
LEFT JOIN attempt ON attempt.run_no = run.no AND attempt.key = {table}.key AND attempt.what = '{what}'
  AND attempt.number = {table}.attempts LEFT JOIN worker ON worker.no = attempt.worker_no
"""
_STALE = f"""
SELECT run.id AS run_id, effect.key, effect.claim_epoch, 0 AS duty, worker.proven FROM {OF_EFFECTS}
{_WORKER_OF_ATTEMPT.format(table="effect", what="body")}
WHERE {OPEN_EFFECT} AND effect.claim_by <> '' AND effect.claim_until_boot_us <= :now
UNION ALL
SELECT run.id, obligation.key, obligation.claim_epoch, 1, worker.proven FROM {OF_DUTIES}
{_WORKER_OF_ATTEMPT.format(table="obligation", what="undo")}
WHERE {OPEN_DUTY} AND obligation.status = 'CLAIMED' AND obligation.claim_until_boot_us <= :now
"""
_RUNNABLE = f"""
SELECT no, id, crashes FROM run INDEXED BY run_open
WHERE {OPEN} AND status = 'RUNNABLE' AND no > :after AND next_boot_us <= :now AND crashes < :crashes
ORDER BY no LIMIT :most
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
# What failed and is still ARMED waits for the end of its effect, which was left to itself.
_UNDONE = f"""
SELECT run.id FROM run INDEXED BY run_open WHERE {OPEN} AND run.status = 'COMPENSATING' AND run.children_open = 0
AND NOT EXISTS (
  SELECT 1 FROM obligation WHERE obligation.run_no = run.no AND (obligation.status IN ('DUE', 'CLAIMED')
  OR (obligation.status = 'ARMED' AND obligation.auto = 1 AND run.end_status <> 'TERMINAL')))
"""
_OUTLIVED = f"""
SELECT DISTINCT run.id FROM {OF_EFFECTS}
WHERE {OPEN_EFFECT} AND (run.status IN ('RUNNABLE', 'WAITING', 'STUCK') OR effect.awaited = 0)
  AND effect.step = 'again' AND effect.attempts > 0 AND effect.claim_by = '' AND effect.semantics = 'idempotent'
  AND effect.first_us + effect.key_lifetime_us < :now
"""
_TO_RECHECK = """
SELECT DISTINCT run.id FROM cap_wait INDEXED BY cap_wait_recheck CROSS JOIN run ON run.no = cap_wait.run_no
WHERE cap_wait.recheck = 1 AND run.status = 'WAITING' ORDER BY run.no
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
    _TO_RECHECK,
    _LIVE_WORKERS,
)


class Work:
    """Reads what is due. One thread at a time. Times are boot microseconds, for timers wall microseconds."""

    def __init__(self, path: Path) -> None:
        """Raises JournalUnavailable if it cannot be opened."""
        address = f"{path.absolute().as_uri()}?mode=ro"
        try:
            self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        except sqlite3.Error as error:
            raise JournalUnavailable(f"the journal cannot be read: {error}") from None
        self._connection.row_factory = sqlite3.Row

    def _rows(self, sql: str, **values: int) -> list[sqlite3.Row]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise JournalUnavailable(f"the journal cannot be read: {error}") from None

    def runnable(self, now: int, most: int, after_no: int = 0, crashes_below: int | None = None) -> list[DueRun]:
        """Oldest first."""
        crashes = LAST_NO if crashes_below is None else crashes_below
        return [DueRun(*row) for row in self._rows(_RUNNABLE, now=now, most=most, after=after_no, crashes=crashes)]

    def late_leases(self, now: int) -> list[LateLease]:
        return [LateLease(row["run_id"], row["epoch"], row["worker_no"]) for row in self._rows(_LATE, now=now)]

    def _blob(self, name: str) -> str | None:
        try:
            row = self._connection.execute(BLOB_SQL["blob"], {"hash": name}).fetchone()
        except sqlite3.Error as error:
            raise JournalUnavailable(f"the journal cannot be read: {error}") from None
        return None if row is None else row["body"]

    def look_ups(self, now: int) -> list[DueHook]:
        values = Values(self._blob)
        return [_hook(row, values) for row in self._rows(_LOOK_UPS, now=now)]

    def dispatches(self, now: int) -> list[DueHook]:
        values = Values(self._blob)
        return [_hook(row, values) for row in self._rows(_DISPATCHES, now=now)]

    def duties(self, now: int) -> list[DueHook]:
        """What is to be undone now: at most one of each run, and nothing that `claim_duty` would refuse."""
        values = Values(self._blob)
        return [_duty(row, values) for row in self._rows(_DUTIES, now=now)]

    def stale_claims(self, now: int) -> list[StaleClaim]:
        rows = self._rows(_STALE, now=now)
        return [StaleClaim(*row[:3], duty=bool(row["duty"]), proven=bool(row["proven"])) for row in rows]

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

    def to_recheck(self) -> list[str]:
        """Runs that wait for a cap and may go on, for money was given back since: `recheck_waits`."""
        return [row["id"] for row in self._rows(_TO_RECHECK)]

    def live_workers(self) -> list[tuple[int, str, int, str]]:
        """Workers that nobody has declared dead: number, nonce, pid, host."""
        return [(row["no"], row["nonce"], row["pid"], row["host"]) for row in self._rows(_LIVE_WORKERS)]

    def close(self) -> None:
        self._connection.close()


def _hook(row: sqlite3.Row, values: Values) -> DueHook:
    effect = _effect(row, values.fill(orjson.loads(row["body"])), None, None)
    return DueHook(row["run_id"], row["key"], row["tool"], row["step"], row["hook_crashes"], effect, row["timeout_us"])


def _duty(row: sqlite3.Row, values: Values) -> DueHook:
    body = values.fill(orjson.loads(row["body"]))
    result = values.fill(orjson.loads(row["ended"])).get("result") if row["ended"] else None
    act = orjson.loads(row["act"]) if row["act"] else result
    return DueHook(
        row["run_id"], row["key"], row["tool"], row["step"], row["hook_crashes"], _effect(row, body, result, act)
    )


def _effect(row: sqlite3.Row, begun: dict[str, Any], result: Any, act: Any) -> dict[str, Any]:
    return {
        "key": begun["key"],
        "tool": row["tool"],
        "args": begun["args"],
        "hidden": begun.get("hidden"),
        "run_id": row["run_id"],
        "decision_index": begun["decision_index"],
        "call_ordinal": begun["ordinal"],
        "business_key": row["business_key"],
        "begun_at": format_us(row["at_us"]),
        "result": result,
        "act": act,
    }
