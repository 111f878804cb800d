"""A disk without a battery: every byte that SQLite hands over is logged, and the power can be cut at any place of it.

The statements of a real story, recorded with their parameters, are told again through APSW on a file system of this
module's own. What a cut leaves is what was synced, and of what was not as much as the `Cut` says. A log is walked once
for all its cuts.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import apsw
import pytest

from tape.core.clock import ManualClock
from tape.core.journal.writer import Writer
from tests.faults.faulty import plain_connect
from tests.faults.story import whole

Statement = tuple[str, Any]
SECTOR = 512
CHECKPOINT_PAGES = 40
"""SQLite's own is 1000: here the log is to be copied back, and begun again, many times in one story."""


def record(path: Path) -> list[Statement]:
    """Every statement, from the opening on, that the journal executes while the story is told."""
    told: list[Statement] = []

    class Recording(sqlite3.Connection):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:  # type: ignore[override]
            told.append((sql, args[0] if args else ()))
            return super().execute(sql, *args)

        def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:  # type: ignore[override]
            cursor = self.cursor()
            for row in rows:
                cursor = self.execute(sql, row)
            return cursor

    clock = ManualClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *args, **named: plain_connect(*args, **named, factory=Recording))
        writer = Writer(path, clock)
    tale = whole(clock)
    batch = next(tale)
    while True:
        outcomes = writer.commit(batch)
        try:
            batch = tale.send([outcome.error or outcome.result for outcome in outcomes])
        except StopIteration:
            break
    assert writer.connection.execute("PRAGMA synchronous").fetchone()[0] == 2, "FULL is what the journal asks for"
    told.pop()
    writer.close()
    return told


@dataclass(frozen=True, slots=True)
class Op:
    """One thing that happened: write, truncate, sync or delete of a file, or a commit that was acknowledged."""

    what: str
    file: str = ""
    at: int = 0
    data: bytes = b""


class Drive(apsw.VFS):
    """The file system: contents as SQLite sees them, and the log of how they came about."""

    def __init__(self, name: str) -> None:
        self.files: dict[str, bytearray] = {}
        self.log: list[Op] = []
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        flags[1] = flags[0]
        if name is None:  # SQLite's own, for an instant: no power cut leaves it
            return DriveFile(self, f"temporary-{len(self.log)}")
        return DriveFile(self, Path(name if isinstance(name, str) else name.filename()).name)

    def xAccess(self, path: str, flags: int) -> bool:
        return Path(path).name in self.files

    def xDelete(self, path: str, sync: bool) -> None:
        name = Path(path).name
        self.files.pop(name, None)
        self.log.append(Op("delete", name, int(sync)))

    def xFullPathname(self, name: str) -> str:
        return name


class DriveFile:
    def __init__(self, drive: Drive, name: str) -> None:
        self.drive, self.name = drive, name
        drive.files.setdefault(name, bytearray())

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self.drive.files[self.name][offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        _write(self.drive.files[self.name], offset, data)
        self.drive.log.append(Op("write", self.name, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:
        del self.drive.files[self.name][size:]
        self.drive.log.append(Op("truncate", self.name, size))

    def xSync(self, flags: int) -> None:
        self.drive.log.append(Op("sync", self.name))

    def xFileSize(self) -> int:
        return len(self.drive.files[self.name])

    def xLock(self, level: int) -> None: ...
    def xUnlock(self, level: int) -> None: ...
    def xClose(self) -> None: ...
    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE  # as SQLite's own file system says of every disk


def _write(content: bytearray, offset: int, data: bytes) -> None:
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def replay(statements: Sequence[Statement], synchronous: str) -> list[Op]:
    """Tells the story on a drive; returns its log, with an `ack` after each COMMIT."""
    name = f"drive-{synchronous}"
    drive = Drive(name)
    link = apsw.Connection("dev.db", vfs=name)
    link.execute("PRAGMA locking_mode=EXCLUSIVE")  # one connection, and no shared memory to play
    for sql, values in statements:
        text = f"PRAGMA synchronous={synchronous}" if sql.startswith("PRAGMA synchronous") else sql
        for _ in link.execute(text, values):
            pass
        if sql == "COMMIT":
            drive.log.append(Op("ack"))
        elif sql.startswith("PRAGMA journal_mode"):
            link.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    link.close()
    drive.unregister()
    return drive.log


class Cut(StrEnum):
    """What becomes of bytes that were written and not synced."""

    DROPPED = "all dropped"
    HALF = "a random half kept"
    TORN = "a random half of the sectors kept, the last one torn"


@dataclass
class Disk:
    """What is certainly on the platter, and what is on its way."""

    durable: dict[str, bytearray] = field(default_factory=dict)
    loose: dict[str, list[Op]] = field(default_factory=dict)
    acked: int = 0

    def take(self, op: Op) -> None:
        if op.what == "ack":
            self.acked += 1
        elif op.what == "sync":
            # SQLite syncs the folder with the first sync of a log that it has made: what was deleted stays deleted.
            deleted = [] if op.file in self.durable else [file for file, ops in self.loose.items() if _gone(ops)]
            for file in {op.file, *deleted}:
                for earlier in self.loose.pop(file, []):
                    self._settle(self.durable, earlier)
        elif op.what == "delete" and op.at:
            self.loose.pop(op.file, None)
            self.durable.pop(op.file, None)
        else:
            self.loose.setdefault(op.file, []).append(op)

    def left(self, cut: Cut, chance: random.Random) -> dict[str, bytes]:
        found = {name: bytearray(content) for name, content in self.durable.items()}
        for ops in self.loose.values():
            for op in ops:
                if cut is Cut.DROPPED:
                    continue
                if op.what == "write" and cut is Cut.TORN:
                    for piece in _torn(op, chance):
                        self._settle(found, piece)
                elif chance.random() < 0.5:
                    self._settle(found, op)
        return {name: bytes(content) for name, content in found.items()}

    @staticmethod
    def _settle(files: dict[str, bytearray], op: Op) -> None:
        if op.what == "delete":
            files.pop(op.file, None)
            return
        content = files.setdefault(op.file, bytearray())
        if op.what == "write":
            _write(content, op.at, op.data)
        else:
            del content[op.at :]


def _gone(ops: Sequence[Op]) -> bool:
    return ops[-1].what == "delete"


def _torn(op: Op, chance: random.Random) -> Iterator[Op]:
    for start in range(0, len(op.data), SECTOR):
        if chance.random() < 0.5:
            data = op.data[start : start + SECTOR]
            if chance.random() < 0.1:
                data = data[: chance.randrange(len(data))]
            yield Op("write", op.file, op.at + start, data)


def cuts(log: Sequence[Op], count: int, seed: int) -> Iterator[tuple[int, int, Cut, dict[str, bytes]]]:
    """The power goes `count` times, each time after some operation: (operation, commits acknowledged by then, how,
    what is left of each file)."""
    chance = random.Random(seed)
    places = sorted(chance.randrange(len(log)) for _ in range(count))
    kinds = list(Cut)
    disk = Disk()
    taken = 0
    for number, place in enumerate(places):
        for op in log[taken : place + 1]:
            disk.take(op)
        taken = place + 1
        cut = kinds[number % len(kinds)]
        yield place, disk.acked, cut, disk.left(cut, chance)
