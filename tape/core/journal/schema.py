"""What readers must know about the schema, importable without an ORM: its version, its mark, and SQLite's race."""

from __future__ import annotations

SCHEMA_VERSION = 2
"""The `user_version` of a journal that this release writes."""

APPLICATION_ID = 0x54415045  # "TAPE"

MIN_SAFE_SQLITE = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
"""Releases from which the WAL-reset race is fixed, per branch."""


def has_wal_reset_race(version: tuple[int, ...]) -> bool:
    """True for SQLite releases in which a checkpoint that races a commit can lose pages."""
    if version >= MIN_SAFE_SQLITE[0]:
        return False
    return not any(version[:2] == safe[:2] and version >= safe for safe in MIN_SAFE_SQLITE[1:])
