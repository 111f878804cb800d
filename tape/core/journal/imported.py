"""A journal that was imported is looked at, never driven: how it is marked, and what is said to who would write it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tape.core.kernel.errors import JournalUnavailable, UsageError

IMPORTED = "imported"
"""The `meta` row of an imported journal; its value is JSON: `{"run", "release", "values", "redacted"}`."""

SQL = {"imported": f"SELECT value FROM meta WHERE name = '{IMPORTED}'"}


def refuse_imported(path: Path, connection: sqlite3.Connection) -> None:
    """Raises JournalUnavailable if this journal was imported. Its tables are there."""
    if connection.execute(SQL["imported"]).fetchone() is not None:
        raise imported_journal(path)


def imported_journal(path: Path) -> JournalUnavailable:
    return JournalUnavailable(
        f"the journal {path} was imported: nothing drives or writes it. Look at it with `tape status` and "
        "`tape doctor`, or set TAPE_JOURNAL to another file"
    )


def refuse_hashed(run_id: str, facts: dict[str, object] | None) -> None:
    """Raises UsageError for a run whose values were redacted: nothing can be replayed from hashes. `facts` are
    `Reader.imported()`."""
    if facts is not None and facts.get("values") == "hashed":
        raise UsageError(
            f"{run_id} cannot be replayed: its values were replaced by their hashes when it was exported; "
            "export it again without --redact-values"
        )
