"""A run as its code sees it, read-only, for who drives it without a server: its tape, the caps that it was driven
under, and what it and its ancestors were asked (`records.drive_of` tells a worker the same)."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson

from tape.core.journal.caps import caps_by_grant
from tape.core.journal.views import Reader
from tape.core.kernel import identity
from tape.core.kernel.errors import NotFound
from tape.core.kernel.events import RunStarted

SQL = {
    "bodies": "SELECT seq, kind, body FROM entry WHERE run_no = :run_no AND seq IS NOT NULL ORDER BY seq",
    "grants": "SELECT id, kind, body FROM entry WHERE run_no = :run_no AND kind IN ('lease_granted', 'budget_raised')",
    "caps": "SELECT unit, cap FROM budget WHERE run_no = :run_no",
}


def seen_by(reader: Reader, run_id: str) -> dict[str, Any]:
    """`records` (`[seq, kind, body]`; of a long request a preview), `budget` and `lineage`, as a drive has them. Raises
    JournalUnavailable for values that are lost."""
    run_no = {"run_no": reader.run(run_id).no}
    values = reader.values()
    rows = reader.fetch(SQL["bodies"], run_no)
    caps = caps_by_grant(reader.records(SQL["grants"], run_no), reader.records(SQL["caps"], run_no))
    return {
        "records": [[seq, kind, values.fill(orjson.loads(body), requests=False)] for seq, kind, body in rows],
        "budget": {"caps": caps, "capped": False, "known": True},
        "lineage": _lineage(reader, run_id),
    }


def _lineage(reader: Reader, run_id: str | None) -> list[str]:
    found: list[str] = []
    while run_id is not None:
        (first,) = reader.entries(run_id=run_id, limit=1)
        if not isinstance(first.event, RunStarted):
            break
        found.append(identity.fingerprint("child", first.event.agent, first.event.input))
        run_id = _above(reader, run_id)
    return found


def _above(reader: Reader, run_id: str) -> str | None:
    """The run that started it, or what it was forked from; None for whatever an import left behind."""
    run = reader.run(run_id)
    with contextlib.suppress(NotFound):
        while run.parent is None and run.source_id is not None:
            run = reader.run(run.source_id)
    return run.parent


def sources_of(reader: Reader, run_id: str) -> list[str]:
    """What the run was forked from, nearest first, as far as the journal holds them: an imported one holds one run."""
    found: list[str] = []
    with contextlib.suppress(NotFound):
        while (source := reader.run(found[-1] if found else run_id).source_id) is not None:
            found.append(source)
    return found
