"""Lists of runs: their SQL texts, which runs a filter lets through, whole runs by number."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tape.core.journal.shapes import RunView, WorkerRef
from tape.core.kernel.lifecycle import RUN_ENDS, RunStatus

if TYPE_CHECKING:
    from tape.core.run_filter import RunFilter

Fetch = Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]
"""`Reader.fetch`."""

LAST_NO = (1 << 63) - 1
OPEN = "run.status NOT IN ('TERMINAL', 'FAILED', 'CANCELLED')"  # word for word the condition of the index run_open
OPEN_EFFECT = "effect.status IN ('PENDING', 'UNKNOWN')"  # the same for effect_open
OPEN_DUTY = "obligation.status IN ('DUE', 'CLAIMED', 'STUCK')"  # the same for obligation_open
OF_EFFECTS = "effect INDEXED BY effect_open CROSS JOIN run ON run.no = effect.run_no"
"""With OPEN_EFFECT: what is open of all runs, of those, too, that have ended: what was left to itself may outlive them.
However many runs wait for something else, or have ended, it costs nothing."""
OF_DUTIES = "obligation INDEXED BY obligation_open CROSS JOIN run ON run.no = obligation.run_no"

_RUN = """
SELECT run.no, run.id, run.agent, run.status, run.decisions, run.effects, run.epoch, run.seq, run.drive, run.crashes,
       run.waiting_on, run.end_status, run.error, run.cancel, run.created_us, run.updated_us,
       worker.no, worker.host, worker.pid,
       (SELECT count(*) FROM conflict WHERE conflict.run_no = run.no AND conflict.closed_us IS NULL),
       (SELECT parent.id FROM run AS parent WHERE parent.no = run.parent_no), run.children, run.children_open,
       run.source_id, run.source_seq, run.quarantine
FROM run LEFT JOIN worker ON worker.no = run.worker_no
"""
_RUN_OPEN = _RUN.replace("FROM run LEFT", "FROM run INDEXED BY run_open LEFT")
_TEXT = "lower(run.id || char(31) || run.agent || char(31) || run.waiting_on || char(31) || run.error)"
_ENDS = ("TERMINAL", "FAILED", "CANCELLED")

SQL: Mapping[str, str] = {
    "run": f"{_RUN} WHERE run.id = :run_id",
    "runs": f"{_RUN} WHERE run.no < :before_no ORDER BY run.no DESC LIMIT :limit",
    "runs_open": f"{_RUN_OPEN} WHERE {OPEN} AND run.no < :before_no ORDER BY run.no DESC LIMIT :limit",
    "runs_status": f"{_RUN} WHERE run.status = :status AND run.no < :before_no ORDER BY run.no DESC LIMIT :limit",
    "runs_status_open": f"{_RUN} WHERE {OPEN} AND run.status = :status AND run.no < :before_no "
    "ORDER BY run.no DESC LIMIT :limit",
    "runs_by_no": f"{_RUN} WHERE run.no IN (SELECT value FROM json_each(:numbers))",
    "run_count": "SELECT count(*) FROM run",
    "open_counts": f"SELECT run.status, count(*) FROM run WHERE {OPEN} GROUP BY run.status",
    # One walk without sorting: GROUP BY would sort all runs.
    "end_counts": f"SELECT {', '.join(f'''coalesce(sum(run.status = '{end}'), 0)''' for end in _ENDS)} FROM run",
    "last_no": "SELECT coalesce(max(no), 0) FROM run",
    "run_span": "SELECT coalesce(min(no), 0), coalesce(max(no), 0), count(*) FROM run "
    "WHERE no > :after_no AND no <= :until_no",
    "run_numbers": "SELECT no FROM run WHERE no > :after_no AND no <= :until_no ORDER BY no",
    # All children by the index that holds nothing else; those of new runs by their numbers.
    "child_runs": "SELECT no, parent_no FROM run INDEXED BY run_parent WHERE parent_no IS NOT NULL",
    "new_child_runs": "SELECT no, parent_no FROM run WHERE no > :after_no AND parent_no IS NOT NULL ORDER BY no",
}


def runs_of(rows: Iterable[tuple[Any, ...]]) -> list[RunView]:
    """Rows of the texts that give whole runs."""
    return [
        RunView(
            *row[:13],
            cancel=bool(row[13]),
            created_us=row[14],
            updated_us=row[15],
            worker=None if row[16] is None else WorkerRef(row[16], row[17], row[18]),
            conflicts=row[19],
            parent=row[20],
            children=row[21],
            children_open=row[22],
            source_id=row[23],
            source_seq=row[24],
            quarantine=bool(row[25]),
        )
        for row in rows
    ]


def run_numbers(fetch: Fetch, wanted: RunFilter | None, after_no: int, until_no: int | None) -> array[int]:
    """The `no` of every matching run above `after_no` and up to `until_no`, ascending."""
    span = {"after_no": after_no, "until_no": LAST_NO if until_no is None else until_no}
    if wanted is not None and wanted.chips():
        sql, values = filter_sql(wanted)
        return array("q", [row[0] for row in fetch(sql, {**values, **span})])
    first, last, count = fetch(SQL["run_span"], span)[0]
    if count and last - first + 1 == count:  # numbers without a gap, as the journal gives them, need not be fetched
        return array("q", range(first, last + 1))
    return array("q", [row[0] for row in fetch(SQL["run_numbers"], span)])


def parents(fetch: Fetch, after_no: int) -> dict[int, int]:
    """Number -> its parent's number, for every child run above `after_no`."""
    found = fetch(SQL["new_child_runs"], {"after_no": after_no}) if after_no else fetch(SQL["child_runs"], {})
    return dict(sorted(found))


def runs_by_no(fetch: Fetch, numbers: Sequence[int]) -> list[RunView]:
    """The runs with these numbers in the order of `numbers`; those that do not exist are left out."""
    found = {run.no: run for run in runs_of(fetch(SQL["runs_by_no"], {"numbers": json.dumps([*numbers])}))}
    return [found[number] for number in numbers if number in found]


def status_counts(fetch: Fetch) -> dict[str, int]:
    """How many runs there are of each status, zeros included."""
    counts = dict.fromkeys((str(status) for status in RunStatus), 0)
    counts |= {status: count for status, count in fetch(SQL["open_counts"], {})}
    return counts | dict(zip(_ENDS, fetch(SQL["end_counts"], {})[0], strict=True))


def filter_sql(wanted: RunFilter) -> tuple[str, dict[str, Any]]:
    """The text that selects the numbers of the runs that a filter lets through, and its values. What comes from the
    person stands in the values only. Words are compared as `RunFilter.matches` does: without case in ASCII."""
    values: dict[str, Any] = {}
    terms = ["run.no > :after_no", "run.no <= :until_no"]
    open_only = bool(wanted.statuses) and not wanted.statuses & RUN_ENDS
    if wanted.statuses:
        terms.append(f"run.status IN (SELECT value FROM json_each({_value(values, json.dumps([*wanted.statuses]))}))")
    if wanted.agents:
        agents = [f"instr(lower(run.agent), {_value(values, agent)})" for agent in wanted.agents]
        terms.append(f"({' OR '.join(agents)})")
    for word in wanted.words:
        terms.append(f"instr({_TEXT}, {_value(values, word)})")
    if wanted.since_us is not None:
        terms.append(f"run.updated_us >= {_value(values, wanted.since_us)}")
    if wanted.effect_statuses or wanted.tools:
        open_only = open_only or wanted.open_effects_only
        of_effect: list[str] = []
        if wanted.effect_statuses:
            listed = _value(values, json.dumps([*wanted.effect_statuses]))
            of_effect.append(f"effect.status IN (SELECT value FROM json_each({listed}))")
        if wanted.tools:
            listed = _value(values, json.dumps([*wanted.tools]))
            of_effect.append(f"effect.tool IN (SELECT value FROM json_each({listed}))")
        terms.append(f"EXISTS (SELECT 1 FROM effect WHERE effect.run_no = run.no AND {' AND '.join(of_effect)})")
    if open_only:
        terms.append(OPEN)
    source = "run INDEXED BY run_open" if open_only else "run"
    return f"SELECT run.no FROM {source} WHERE {' AND '.join(terms)} ORDER BY run.no", values


def _value(values: dict[str, Any], value: Any) -> str:
    name = f"value{len(values)}"
    values[name] = value
    return f":{name}"
