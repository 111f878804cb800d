"""The key of redacted arguments: beside the journal, for its owner only, made by whoever needs it first.

It stands in no journal, backup or export, and reaches agents over their socket. Without it nobody can try values out
against the hashes that a journal holds; with another one, runs that are open no longer fit their tapes.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from tape.core.clock import Clock
from tape.core.kernel.errors import EnvironmentTrouble

NAME = "redact.key"
BITS = 256
_KEY = re.compile(r"[0-9a-f]{64}\n?")


def redact_key(journal: Path, clock: Clock) -> str:
    """64 hexadecimal digits. Raises EnvironmentTrouble for a file that is no key, or that others may read."""
    path = journal.parent / NAME
    try:
        return _read(path)
    except FileNotFoundError:
        _make(path, clock)
        return _read(path)


def known_redact_key(journal: Path) -> str | None:
    """The same, if it was ever made."""
    try:
        return _read(journal.parent / NAME)
    except FileNotFoundError:
        return None


def _read(path: Path) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(200)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise EnvironmentTrouble(f"{path}: the key of redacted arguments cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise EnvironmentTrouble(f"{path} can be read by others: `chmod 600 {path}`")
    if not _KEY.fullmatch(text):
        raise EnvironmentTrouble(
            f"{path} is no key of redacted arguments: restore it from a backup, or remove it (open runs that have "
            "redacted arguments will then not fit their tapes)"
        )
    return text.strip()


def _make(path: Path, clock: Clock) -> None:
    """Whole or absent: written beside, then linked, so that of two makers one wins."""
    draft = path.with_name(f"{NAME}.{clock.nonce()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(fd, f"{clock.bits(BITS):064x}\n".encode())
            os.fsync(fd)
        finally:
            os.close(fd)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
    except OSError as error:
        raise EnvironmentTrouble(f"{path}: the key of redacted arguments cannot be made: {error.strerror}") from None
