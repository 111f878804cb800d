"""What an audit looks at: one run's rows and entries as they stand in the tables; and what it says, `Finding`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from tape.core.journal.entries import decode_event
from tape.core.journal.views import Reader
from tape.core.kernel.events import Event

DAMAGED = (
    "something else than Tape wrote to the journal, or it is damaged: stop the server, keep a copy as evidence, "
    "and restore a backup or move the journal away"
)

SQL: Mapping[str, str] = {
    "audit_run": "SELECT no, id, agent, status, epoch, seq, decisions, effects, head, drive, worker_no, waiting_on, "
    "end_status, error, children, children_open, parent_no, parent_ordinal, source_seq FROM run WHERE no = :run_no",
    "audit_entries": "SELECT id, seq, kind, epoch, at_us, body, hash FROM entry WHERE run_no = :run_no",
    "audit_effects": "SELECT key, tool, decision_index, ordinal, args_hash, status, attempts, begun_id, ended_id, "
    "awaited, step, inherited FROM effect WHERE run_no = :run_no ORDER BY begun_id",
    "audit_attempts": "SELECT key, count(*) FROM attempt WHERE run_no = :run_no AND what = 'body' GROUP BY key",
    "audit_leases": "SELECT epoch, drive, status, worker_no FROM lease WHERE run_no = :run_no ORDER BY epoch",
    "audit_budget": "SELECT * FROM budget WHERE run_no = :run_no",
    "audit_timers": "SELECT ordinal, status FROM timer WHERE run_no = :run_no",
    "audit_gates": "SELECT name, ordinal, status, answer, used_by FROM gate WHERE run_no = :run_no",
    "audit_children": "SELECT no, id, agent, status, parent_ordinal, depth FROM run WHERE parent_no = :run_no "
    "ORDER BY parent_ordinal",
    "audit_obligations": "SELECT key, effect_key, status FROM obligation WHERE run_no = :run_no",
    "audit_conflicts": "SELECT key, why FROM conflict WHERE run_no = :run_no AND closed_us IS NULL ORDER BY no",
}


_FAMILY = (
    "WITH RECURSIVE family(no) AS (SELECT no FROM run WHERE parent_no = :run_no "
    "UNION ALL SELECT run.no FROM run JOIN family ON run.parent_no = family.no) "
)
SQL_2: Mapping[str, str] = {
    "audit_reservations": "SELECT place, unit, amount FROM reservation WHERE run_no = :run_no",
    "audit_cap_waits": "SELECT place, status FROM cap_wait WHERE run_no = :run_no",
    "audit_paid_below": f"{_FAMILY}SELECT kind, body FROM entry JOIN family ON entry.run_no = family.no "
    "WHERE kind IN ('charge', 'budget_lost', 'budget_overrun')",
    "audit_calls": "WITH RECURSIVE family(no) AS (SELECT :run_no UNION ALL SELECT run.no FROM run "
    "JOIN family ON run.parent_no = family.no) SELECT tool, count(*) AS calls FROM effect "
    "JOIN family ON effect.run_no = family.no WHERE status = 'CONFIRMED' AND NOT inherited GROUP BY tool",
}
"""What only journals of version 2 have."""


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `tape doctor` says; `help` is what to do about it."""

    severity: Severity
    run_id: str | None
    what: str
    help: str = ""


Row = dict[str, Any]
EventKind = TypeVar("EventKind", bound=Event)


@dataclass(frozen=True, slots=True)
class Raw:
    """An entry as it stands in the table, and what it says."""

    id: int
    seq: int | None
    kind: str
    epoch: int
    at_us: int
    body: str
    hash: bytes
    event: Event


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the journal holds about one run, of one moment. `entries` in the order of writing."""

    run: Row
    entries: list[Raw]
    tape: list[Raw]
    effects: list[Row]
    attempts: Mapping[str, int]
    leases: list[Row]
    budget: Mapping[str, Row]
    timers: Mapping[int, str]
    gates: list[Row]
    obligations: list[Row]
    conflicts: list[Row]
    reservations: list[Row]
    cap_waits: list[Row]
    paid_below: list[Event]
    calls: Mapping[str, int]
    children: list[Row]
    alone: bool = False
    """The journal was imported: its run is there without its family."""

    def told(self, kind: type[EventKind]) -> Iterator[tuple[Raw, EventKind]]:
        for entry in self.entries:
            if isinstance(entry.event, kind):
                yield entry, entry.event


def load_facts(reader: Reader, run_no: int) -> Facts:
    """Reads the run; the caller opens the snapshot. Raises JournalUnavailable for what cannot be read."""
    rows = {name.removeprefix("audit_"): reader.records(text, {"run_no": run_no}) for name, text in SQL.items()}
    version = reader.fetch("PRAGMA user_version", {})[0][0]
    for name, text in SQL_2.items():
        rows[name.removeprefix("audit_")] = reader.records(text, {"run_no": run_no}) if version >= 2 else []
    values = reader.values()
    entries = [Raw(**row, event=decode_event(row["kind"], row["body"], values)) for row in rows["entries"]]
    entries.sort(key=lambda entry: entry.id)
    return Facts(
        run=rows["run"][0],
        entries=entries,
        tape=[entry for entry in entries if entry.seq is not None],
        effects=rows["effects"],
        attempts={row["key"]: row["count(*)"] for row in rows["attempts"]},
        leases=rows["leases"],
        budget={row["unit"]: row for row in rows["budget"]},
        timers={row["ordinal"]: row["status"] for row in rows["timers"]},
        gates=rows["gates"],
        obligations=rows["obligations"],
        conflicts=rows["conflicts"],
        reservations=rows["reservations"],
        cap_waits=rows["cap_waits"],
        paid_below=[decode_event(row["kind"], row["body"], values) for row in rows["paid_below"]],
        calls={row["tool"]: row["calls"] for row in rows["calls"]},
        children=rows["children"],
        alone=reader.imported() is not None,
    )
