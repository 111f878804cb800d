"""`tape doctor`'s checks of a journal: is it whole, and does it keep what contract.md promises?

Nothing is repaired and nothing is written. Each run is looked at in a snapshot of its own, so a server may go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tape.core.journal.audit_facts import DAMAGED, Finding, Severity, load_facts
from tape.core.journal.audit_facts import SQL as FACTS_SQL
from tape.core.journal.audit_run import check_run
from tape.core.journal.value_use import misnamed, use_of_values
from tape.core.journal.views import JournalMissing, Reader, open_reader
from tape.core.kernel.errors import JournalUnavailable, SchemaTooNew
from tape.core.kernel.identity import chain_hash, chained_text

MAX_SHOWN = 10

TABLES_OF_RUNS = (
    "entry", "effect", "obligation", "attempt", "lease", "budget", "reservation", "cap_wait", "timer", "gate",
    "conflict", "order",
)  # fmt: skip
_ORPHANS = {
    f"orphans_{table}": f'SELECT count(*), min(run_no) FROM "{table}" '
    "WHERE run_no IS NOT NULL AND run_no NOT IN (SELECT no FROM run)"
    for table in TABLES_OF_RUNS
}
SQL: Mapping[str, str] = {
    **FACTS_SQL,
    **_ORPHANS,
    "lost_attempts": "SELECT run_no, key, what, number FROM attempt WHERE NOT EXISTS "
    "(SELECT 1 FROM effect WHERE effect.run_no = attempt.run_no AND effect.key = attempt.key) AND NOT EXISTS "
    "(SELECT 1 FROM obligation WHERE obligation.run_no = attempt.run_no AND obligation.key = attempt.key)",
    "lost_obligations": "SELECT run_no, key FROM obligation WHERE NOT EXISTS (SELECT 1 FROM effect "
    "WHERE effect.run_no = obligation.run_no AND effect.key = obligation.effect_key)",
    "lost_children": "SELECT no, id, parent_no FROM run WHERE parent_no IS NOT NULL "
    "AND parent_no NOT IN (SELECT no FROM run)",
    "lost_leases": "SELECT run_no, epoch, worker_no FROM lease WHERE worker_no NOT IN (SELECT no FROM worker)",
    "dead_holders": "SELECT lease.run_no, lease.epoch, lease.worker_no FROM lease JOIN worker "
    "ON worker.no = lease.worker_no WHERE lease.status = 'LIVE' AND worker.status = 'DEAD'",
    "run_names": "SELECT no, id FROM run ORDER BY no",
    "entry_count": "SELECT count(*) FROM entry",
    "eventful_runs": "SELECT id FROM run WHERE no IN (SELECT run_no FROM entry WHERE kind IN ('gate_opened', "
    "'attempt_ended', 'point_reached') OR (kind = 'lease_ended' AND body NOT LIKE '%\"RELEASED\"%') "
    "OR (kind = 'run_moved' AND body LIKE '%\"STUCK\"%')) ORDER BY no",
    "loose_entries": "SELECT id, seq, epoch, at_us, kind, body, hash FROM entry WHERE run_no IS NULL ORDER BY id",
}
QUICK_CHECK = "PRAGMA quick_check(10)"


@dataclass(frozen=True, slots=True)
class Audit:
    """What was looked at, and what was found. `eventful`: runs that had a death, a doubt or a question to people."""

    runs: int
    entries: int
    findings: tuple[Finding, ...]
    eventful: tuple[str, ...] = ()


def examine(path: Path) -> Audit:
    """The same for a journal that may be missing, newer or unreadable: those are findings too."""
    try:
        with open_reader(path) as reader:
            return audit(reader)
    except JournalMissing as missing:
        return Audit(0, 0, (Finding(Severity.NOTE, None, str(missing)),))
    except (JournalUnavailable, SchemaTooNew) as error:
        return Audit(0, 0, (Finding(Severity.ERROR, None, str(error)),))


def audit(reader: Reader) -> Audit:
    """All checks. A journal that cannot be read any further is a finding, not an error."""
    findings: list[Finding] = []
    runs = entries = 0
    try:
        findings += _integrity(reader)
        entries = reader.fetch(SQL["entry_count"])[0][0]
        names = reader.fetch(SQL["run_names"])
        runs = len(names)
        findings += _references(reader, dict(names))
        findings += _loose_entries(reader)
        findings += _values(reader)
        eventful = tuple(run_id for (run_id,) in reader.fetch(SQL["eventful_runs"]))
    except JournalUnavailable as error:
        findings.append(Finding(Severity.ERROR, None, str(error), DAMAGED))
        return Audit(runs, entries, tuple(findings))
    for run_no, run_id in names:
        findings += _run(reader, run_no, run_id)
    return Audit(runs, entries, tuple(findings), eventful)


def _integrity(reader: Reader) -> Iterator[Finding]:
    for (said,) in reader.fetch(QUICK_CHECK):
        if said != "ok":
            yield Finding(Severity.ERROR, None, f"SQLite finds the file damaged: {said}", DAMAGED)


def _run(reader: Reader, run_no: int, run_id: str) -> list[Finding]:
    try:
        with reader.snapshot():
            facts = load_facts(reader, run_no)
    except JournalUnavailable as error:
        return [Finding(Severity.ERROR, run_id, str(error), DAMAGED)]
    return list(check_run(facts))


def _references(reader: Reader, names: Mapping[int, str]) -> Iterator[Finding]:
    """Rows that belong to nothing."""
    for name, text in _ORPHANS.items():
        number, first = reader.fetch(text)[0]
        if number:
            table = name.removeprefix("orphans_")
            what = f"rows of the table {table} belong to no run: {number}, the first to run number {first}"
            yield Finding(Severity.ERROR, None, what, DAMAGED)
    for run_no, key, what, number in reader.fetch(SQL["lost_attempts"])[:MAX_SHOWN]:
        yield _error(names, run_no, f"{what} {number} of {key} belongs to no effect and no obligation")
    for run_no, key in reader.fetch(SQL["lost_obligations"])[:MAX_SHOWN]:
        yield _error(names, run_no, f"the obligation {key} belongs to no effect")
    for run_no, run_id, parent_no in reader.fetch(SQL["lost_children"])[:MAX_SHOWN]:
        yield _error(names, run_no, f"{run_id} is a child of run number {parent_no}, which is not known")
    for run_no, epoch, worker_no in reader.fetch(SQL["lost_leases"])[:MAX_SHOWN]:
        yield _error(names, run_no, f"the lease under epoch {epoch} belongs to worker {worker_no}, which is not known")
    for run_no, epoch, worker_no in reader.fetch(SQL["dead_holders"])[:MAX_SHOWN]:
        yield _error(names, run_no, f"the lease under epoch {epoch} is LIVE, but its worker {worker_no} is dead")


def _error(names: Mapping[int, str], run_no: int, what: str) -> Finding:
    return Finding(Severity.ERROR, names.get(run_no), what, DAMAGED)


def _loose_entries(reader: Reader) -> Iterator[Finding]:
    """Entries that belong to no run are hashed each by itself."""
    wrong = [
        number
        for number, seq, epoch, at_us, kind, body, found in reader.fetch(SQL["loose_entries"])
        if chain_hash(b"", chained_text(seq, kind, epoch, at_us, body)) != found
    ]
    if wrong:
        what = f"entry {wrong[0]} does not fit its hash" + (f", and {len(wrong) - 1} more" if wrong[1:] else "")
        yield Finding(Severity.ERROR, None, what, DAMAGED)


def _values(reader: Reader) -> Iterator[Finding]:
    """Values by hash: each that an entry refers to is there, and is what its name says."""
    with reader.snapshot():
        use = use_of_values(reader.fetch)
        wrong = list(misnamed(reader.fetch))
    for what, names in (("is missing", sorted(use.missing)), ("does not fit its name", wrong)):
        for name in names[:MAX_SHOWN]:
            yield Finding(Severity.ERROR, None, f"the value {name} {what}", DAMAGED)
        if names[MAX_SHOWN:]:
            yield Finding(Severity.ERROR, None, f"and {len(names) - MAX_SHOWN} more values: {what}", DAMAGED)
    if use.unused:
        what = f"values that nobody refers to: {len(use.unused)}"
        yield Finding(Severity.NOTE, None, what, "`tape gc` removes them")
