"""`tape doctor`'s checks of the machine: versions, permissions, space, and who holds the journal.

The journal's file itself is never opened here: closing any descriptor of it would drop the locks of a writer in the
same process.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from tape.core.journal.audit_facts import Finding, Severity
from tape.core.journal.schema import MIN_SAFE_SQLITE, has_wal_reset_race

LOW_BYTES = 100 << 20


def lock_path(journal: Path) -> Path:
    """The file whose flock makes its holder the one writer of this journal."""
    return journal.with_name(f"{journal.name}.lock")


def is_served(journal: Path) -> bool:
    """Whether a server holds the journal's lock, asked without waiting."""
    try:
        descriptor = os.open(lock_path(journal), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def check_environment(journal: Path, sqlite_version: tuple[int, ...] = sqlite3.sqlite_version_info) -> list[Finding]:
    """What the machine is like; notes are facts, not faults."""
    return [*_versions(sqlite_version), *_places(journal), *_server(journal)]


def _versions(sqlite_version: tuple[int, ...]) -> Iterator[Finding]:
    yield Finding(Severity.NOTE, None, f"Python {'.'.join(map(str, sys.version_info[:3]))}")
    shown = ".".join(map(str, sqlite_version))
    if has_wal_reset_race(sqlite_version):
        safe = ", ".join(".".join(map(str, version)) for version in MIN_SAFE_SQLITE)
        what = f"SQLite {shown} has the WAL-reset race: a checkpoint that races a commit can lose pages"
        yield Finding(
            Severity.WARNING, None, what, f"use a Python with SQLite {safe} or later; one writer rarely meets it"
        )
    else:
        yield Finding(Severity.NOTE, None, f"SQLite {shown}")


def _places(journal: Path) -> Iterator[Finding]:
    folder = journal.parent
    try:
        mode = os.stat(folder).st_mode
    except OSError:
        yield Finding(Severity.NOTE, None, f"{folder} is not there yet: `tape dev` or `tape run` creates it")
        return
    yield from _too_open(folder, mode, 0o700)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            Severity.WARNING, None, f"{folder} is not writable: nothing can be recorded", f"chmod u+rwx {folder}"
        )
    for path in (journal, *(journal.with_name(journal.name + end) for end in ("-wal", "-shm", ".lock"))):
        try:
            mode = os.stat(path).st_mode
        except OSError:
            continue
        yield from _too_open(path, mode, 0o600)
    yield from _space(folder)


def _too_open(path: Path, mode: int, wanted: int) -> Iterator[Finding]:
    if mode & 0o077:
        what = f"{path} is open to others ({stat.S_IMODE(mode):04o}): it holds what agents said and did"
        yield Finding(Severity.WARNING, None, what, f"chmod {wanted:o} {path}")


def _space(folder: Path) -> Iterator[Finding]:
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    shown = f"{free >> 20} MiB free in {folder}"
    if free < LOW_BYTES:
        yield Finding(Severity.WARNING, None, f"only {shown}", "free some space: a full disk stops every run")
    else:
        yield Finding(Severity.NOTE, None, shown)


def _server(journal: Path) -> Iterator[Finding]:
    held = "a server holds the journal" if is_served(journal) else "no server runs on this journal"
    yield Finding(Severity.NOTE, None, held)
