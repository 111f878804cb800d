"""Retention: runs that ended long ago are removed, each whole or not at all, then the values that nobody needs.

What may go is planned with a reader, and looked at again by the verb that removes it. The number of the newest run and
the ids of entries are never given out again: the newest run stays, and each removal is itself an entry.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tape.core.journal import dialect
from tape.core.journal.blobs import named_in
from tape.core.journal.lists import Fetch
from tape.core.journal.tables import TABLES, BlobRow, RunRow
from tape.core.journal.transaction import Tx
from tape.core.journal.value_use import SQL as USE_SQL
from tape.core.journal.value_use import use_of_values
from tape.core.journal.views import Reader
from tape.core.journal.workers import place_order
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import Refused
from tape.core.retention import KINDS, Retention

BATCH_ENTRIES = 5_000
"""About how many entries one transaction removes: agents wait no longer than that takes."""
BATCH_VALUES = 1_000
NEVER_US = -1

# At an end, with nothing open, and not the newest run: its number must not come again.
_READY = """
run.status IN ('TERMINAL', 'FAILED', 'CANCELLED') AND run.no < (SELECT max(no) FROM run)
AND run.updated_us <= CASE run.status WHEN 'TERMINAL' THEN :terminal WHEN 'FAILED' THEN :failed ELSE :cancelled END
AND NOT EXISTS (SELECT 1 FROM effect WHERE effect.run_no = run.no AND effect.status NOT IN ('CONFIRMED', 'FAILED'))
AND NOT EXISTS (SELECT 1 FROM obligation WHERE obligation.run_no = run.no
                AND obligation.status NOT IN ('DONE', 'DROPPED'))
AND NOT EXISTS (SELECT 1 FROM conflict WHERE conflict.run_no = run.no AND conflict.closed_us IS NULL)
AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.run_no = run.no AND lease.status = 'LIVE')
"""
_RELATIONS = """
SELECT run.no, run.parent_no FROM run WHERE run.parent_no IS NOT NULL
UNION ALL
SELECT run.no, source.no FROM run JOIN run AS source ON source.id = run.source_id WHERE run.source_id IS NOT NULL
"""
# Of these runs alone, by indexes; only for their forks are all runs passed over, once.
_RELATIONS_OF = """
WITH going(no) AS MATERIALIZED (SELECT value FROM json_each(:numbers))
SELECT going.no, run.parent_no FROM going CROSS JOIN run ON run.no = going.no WHERE run.parent_no IS NOT NULL
UNION ALL
SELECT going.no, run.no FROM going CROSS JOIN run INDEXED BY run_parent ON run.parent_no = going.no
UNION ALL
SELECT going.no, source.no FROM going CROSS JOIN run ON run.no = going.no
JOIN run AS source ON source.id = run.source_id
UNION ALL
SELECT source.no, run.no FROM run CROSS JOIN run AS source ON source.id = run.source_id
WHERE run.source_id IS NOT NULL AND source.no IN (SELECT no FROM going)
"""
SQL: Mapping[str, str] = {
    "ready_runs": f"SELECT run.no, run.id, run.status FROM run WHERE {_READY} ORDER BY run.no",
    "ready_of": f"SELECT run.no, run.id, run.status FROM run WHERE {_READY} "
    "AND run.no IN (SELECT value FROM json_each(:numbers)) ORDER BY run.no",
    "relations": _RELATIONS,
    "relations_of": _RELATIONS_OF,
    "run_sizes": "SELECT run_no, count(*), total(length(CAST(body AS BLOB)) + length(hash)) FROM entry "
    "WHERE run_no IN (SELECT value FROM json_each(:numbers)) GROUP BY run_no",
    "value_sizes": "SELECT count(*), total(length(CAST(body AS BLOB)) + length(hash)) FROM blob "
    "WHERE hash IN (SELECT value FROM json_each(:names))",
}
OF_RUNS = tuple(
    dialect.table_of(model).name for model in TABLES if model is not RunRow and "run_no" in dialect.table_of(model).c
)


@dataclass(frozen=True, slots=True)
class Removal:
    """What was, or would be, removed; `bytes` of entries and values, without what indexes take."""

    runs: tuple[str, ...] = ()
    ends: Mapping[str, int] = field(default_factory=lambda: {})
    entries: int = 0
    values: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that refer to each other, and so go together: their numbers, and how many entries they have."""

    numbers: tuple[int, ...]
    entries: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`statuses`: how each of the runs ended, by its id."""

    removal: Removal
    groups: tuple[Group, ...]
    statuses: Mapping[str, str]

    def batches(self) -> Iterator[list[list[int]]]:
        """The groups' numbers, as many at a time as one transaction removes."""
        batch: list[list[int]] = []
        entries = 0
        for group in self.groups:
            if batch and entries + group.entries > BATCH_ENTRIES:
                yield batch
                batch, entries = [], 0
            batch.append(list(group.numbers))
            entries += group.entries
        if batch:
            yield batch


# --- what may go ----------------------------------------------------------------------------------------------


def until_of(retention: Retention, now_us: int) -> dict[str, int]:
    """The time up to which a run must have ended to go, by kind of end."""
    return {kind: now_us - retention[kind] if kind in retention else NEVER_US for kind in KINDS}


def plan(reader: Reader, until: Mapping[str, int]) -> Plan:
    """What may go now, and what that would remove, of one moment."""
    with reader.snapshot():
        fetch = reader.fetch
        ready = {no: (run_id, status) for no, run_id, status in fetch(SQL["ready_runs"], until)}
        groups = [group for group in _groups(ready, fetch(SQL["relations"])) if all(no in ready for no in group)]
        numbers = sorted(no for group in groups for no in group)
        sizes = {no: (count, size) for no, count, size in fetch(SQL["run_sizes"], {"numbers": json.dumps(numbers)})}
        values, value_bytes = _value_sizes(fetch, use_of_values(fetch, without=frozenset(numbers)).unused)
    removal = Removal(
        runs=tuple(ready[no][0] for no in numbers),
        ends=dict(Counter(ready[no][1] for no in numbers)),
        entries=sum(count for count, _ in sizes.values()),
        values=values,
        bytes=value_bytes + sum(int(size) for _, size in sizes.values()),
    )
    return Plan(
        removal,
        tuple(Group(tuple(group), sum(sizes[no][0] for no in group)) for group in groups),
        {ready[no][0]: ready[no][1] for no in numbers},
    )


def _value_sizes(fetch: Fetch, names: Sequence[str]) -> tuple[int, int]:
    found = [fetch(SQL["value_sizes"], {"names": json.dumps(part)})[0] for part in _parts(names, BATCH_VALUES)]
    return sum(count for count, _ in found), sum(int(size) for _, size in found)


def _groups(numbers: Collection[int], relations: Sequence[tuple[Any, ...]]) -> list[list[int]]:
    """These runs, each with all that it is related to over parents, children and forks."""
    related: dict[int, set[int]] = {}
    for one, other in relations:
        related.setdefault(one, set()).add(other)
        related.setdefault(other, set()).add(one)
    groups: list[list[int]] = []
    seen: set[int] = set()
    for number in numbers:
        if number in seen:
            continue
        group, waiting = [number], [number]
        seen.add(number)
        while waiting:
            for other in sorted(related.get(waiting.pop(), set()) - seen):
                seen.add(other)
                group.append(other)
                waiting.append(other)
        groups.append(group)
    return groups


def unused_values(reader: Reader) -> tuple[list[str], int]:
    """The values that no entry refers to, in an order in which they can be removed a part at a time, and the newest
    entry that was looked at. What refers comes before what is referred to: a value is never missing."""
    with reader.snapshot():
        use = use_of_values(reader.fetch)
        unused = set(use.unused)
        lists = {name: named_in(body) for name, body in reader.fetch(USE_SQL["value_lists"]) if name in unused}
    before = {name: next((other for other in named if other in lists), None) for name, named in lists.items()}
    depths: dict[str, int] = {}
    for name in lists:
        way: dict[str, None] = {}
        at: str | None = name
        while at is not None and at not in depths and at not in way:
            way[at] = None
            at = before[at]
        below = 0 if at is None else depths.get(at, 0)  # not known: a damaged list that leads back to itself
        for depth, step in enumerate(reversed(way), below + 1):
            depths[step] = depth
    ordered = sorted(lists, key=lambda name: (-depths[name], name))
    return [*ordered, *sorted(unused - lists.keys())], use.last_id


# --- the verbs ------------------------------------------------------------------------------------------------


def remove_runs(
    tx: Tx, groups: Sequence[Sequence[int]], until: Mapping[str, int], actor: str, reason: str
) -> dict[str, Any]:
    """Removes those of the groups that may still go. Returns how many `runs` and `entries` went, and their `bytes`."""
    fetch = _fetch(tx)
    everyone = json.dumps([number for group in groups for number in group])
    related: dict[int, set[int]] = {}
    for one, other in fetch(SQL["relations_of"], {"numbers": everyone}):
        related.setdefault(one, set()).add(other)
    going: list[tuple[int, str, str]] = []
    entries = size = 0
    for group in groups:
        numbers = json.dumps(list(group))
        ready = fetch(SQL["ready_of"], {**until, "numbers": numbers})
        others = {other for number in group for other in related.get(number, ())}
        if len(ready) != len(group) or not others <= {*group}:
            continue  # it has been taken up again, or forked, since it was planned
        for _, count, length in fetch(SQL["run_sizes"], {"numbers": numbers}):
            entries, size = entries + count, size + int(length)
        going += ready
    gone = [run_id for _, run_id, _ in going]
    if gone:  # before the removal: its own entry then has an id above all that go
        place_order(tx, None, "gc", {"runs": gone, "entries": entries}, actor, reason)
    for number, _, status in going:
        _remove(tx, number, status)
    return {"runs": gone, "entries": entries, "bytes": size}


def _remove(tx: Tx, number: int, status: str) -> None:
    for table in OF_RUNS:
        tx.connection.execute(f'DELETE FROM "{table}" WHERE run_no = ?', (number,))
    gone = tx.connection.execute("DELETE FROM run WHERE no = ? AND status = ?", (number, status))
    if gone.rowcount != 1:
        raise Refused(f"run number {number} is not {status} any more")


def remove_values(tx: Tx, names: Sequence[str], after_id: int) -> dict[str, Any]:
    """Removes those of the values that no entry after `after_id` refers to; the earlier ones were looked at."""
    waiting = [name for _, _, body in _newer(tx, after_id) for name in named_in(body)]
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        row = None if name in needed else tx.one(BlobRow, hash=name)
        needed.add(name)
        if row is not None and row["body"].startswith("+"):
            waiting += named_in(row["body"])
    doomed = [name for name in names if name not in needed]
    count, size = _value_sizes(_fetch(tx), doomed)
    tx.connection.executemany("DELETE FROM blob WHERE hash = ?", [(name,) for name in doomed])
    return {"values": count, "bytes": size}


def _newer(tx: Tx, after_id: int) -> list[tuple[Any, ...]]:
    return _fetch(tx)(USE_SQL["value_users"], {"after": after_id, "limit": -1})


def _fetch(tx: Tx) -> Fetch:
    return lambda sql, values: [tuple(row) for row in tx.connection.execute(sql, values)]


def _parts(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def value_batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many at a time as one transaction removes."""
    return _parts(names, BATCH_VALUES)


def compact(writer: Writer) -> None:
    """Gives what was freed back to the file system. Only where no server holds the journal: it takes as long as
    copying it. Ids are INTEGER PRIMARY KEYs, so they stay. Raises JournalUnavailable."""
    try:
        writer.connection.execute("VACUUM")
        writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise dialect.unavailable(writer.path, error) from None
