"""Whether a journal can be read: is it there, is it one, is it of a version that this release knows."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from tape.core.journal.schema import APPLICATION_ID, SCHEMA_VERSION
from tape.core.kernel.errors import JournalUnavailable, SchemaTooNew


class JournalMissing(JournalUnavailable):
    """There is no journal yet: nothing has been run in this project."""


def unreadable(path: Path, error: sqlite3.Error) -> JournalUnavailable:
    """The one line for a journal that cannot be read now."""
    text = str(error)
    hints = {
        "unable to open database file": "reading needs write access to its folder, or a copy of it: make the folder "
        "writable, or copy with `sqlite3 JOURNAL \"VACUUM INTO 'COPY'\"` where it is",
        "file is not a database": "it is no journal; move it away or set TAPE_JOURNAL",
        "database disk image is malformed": "it is damaged; `tape doctor` says where, a backup helps",
        "database is locked": "another process holds it; stop that process and try again",
        "disk I/O error": "the disk reports an error; see `tape doctor`",
        "Could not decode": "it holds bytes that are no text, so it is damaged; `tape doctor` says where",
        "no such ": "it does not have the tables of its version; restore a backup or move it away",
    }
    hints["attempt to write a readonly database"] = hints["unable to open database file"]
    hint = next((hints[known] for known in hints if known in text), text)
    return JournalUnavailable(f"the journal {path} cannot be read: {hint}")


def find(path: Path) -> None:
    """Looks at the file by its path only: opening it by hand could drop the locks of a writer in this process."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise JournalMissing(f"no journal at {path}: `tape dev` or `tape run` creates it") from None
    except OSError as error:
        raise JournalUnavailable(
            f"the journal {path} cannot be read: {error.strerror}; check the permissions of its folder"
        ) from None


def check(path: Path, connection: sqlite3.Connection) -> None:
    """Is it a journal, and of a version that this release can read?"""
    mark, version = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("application_id", "user_version")
    )
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        raise JournalMissing(f"the journal {path} is empty: `tape dev` or `tape run` creates it")
    if mark != APPLICATION_ID:
        raise JournalUnavailable(
            f"the journal {path} cannot be read: it is a database, but no journal; move it away or set TAPE_JOURNAL"
        )
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"the journal {path} has schema {version}, this release knows {SCHEMA_VERSION}: "
            "upgrade tape-agents, or set TAPE_JOURNAL to another file; it was not touched"
        )
    if version < SCHEMA_VERSION:
        raise JournalUnavailable(
            f"the journal {path} has schema {version}, this release reads {SCHEMA_VERSION}: "
            "`tape dev` or `tape server` migrates it, after a backup"
        )
