"""The stand-in's ledger: a file of JSON lines, the only judge of what happened outside.

One line per act and per undo, appended and flushed to disk before the stand-in answers. A line counts once its
newline is there: a last line without one was torn by a crash before any answer, so it never happened; readers drop
it and the next writer cuts it off. Anything else that cannot be read is an error, never skipped.

This file shares no code with the runtime that it judges (the error class apart).
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from tape.core.kernel.errors import EnvironmentTrouble, UsageError


@dataclass(frozen=True, slots=True)
class Intent:
    """What a caller wants done, as it was sent. Absent headers are None; `body` is any JSON value."""

    collection: str
    key: str | None
    business_key: str | None
    fencing_token: str | None
    body: Any


@dataclass(frozen=True, slots=True)
class Act:
    """One act, and whether it was undone. Times are RFC 3339, UTC, microseconds, so they sort as text."""

    id: str
    collection: str
    key: str | None
    business_key: str | None
    fencing_token: str | None
    body: Any
    at: str
    undone: bool = False
    undone_at: str | None = None
    undo_key: str | None = None
    undo_fencing_token: str | None = None


def read_ledger(path: str | os.PathLike[str]) -> list[Act]:
    """All acts in order, each with its undo folded in. Safe beside a stand-in that is writing.

    Raises UsageError if there is no such file (it exists from the stand-in's first start) or a line is damaged:
    a judge must not take a wrong path for an empty ledger.
    """
    return list(_fold(Path(path), read_events(path)).values())


def count_acts(path: str | os.PathLike[str], collection: str, *, since: int = 0) -> int:
    """How many acts of one collection stand, that is, are not undone.

    `since` leaves out the first so many acts of the whole ledger: `len(read_ledger(path))` at the start of what is
    to be judged. Raises UsageError as `read_ledger`.
    """
    return sum(1 for act in read_ledger(path)[since:] if act.collection == collection and not act.undone)


def read_events(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The ledger's lines as they were written. Raises UsageError as `read_ledger`."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: no such ledger; a stand-in creates it when it starts") from None
    except OSError as error:
        raise UsageError(f"{path}: the ledger cannot be read ({error.strerror}); check the path") from error
    return list(_events(Path(path), data))


def _events(path: Path, data: bytes) -> Iterator[dict[str, Any]]:
    whole = data[: data.rfind(b"\n") + 1]
    for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
        try:
            event: Any = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or cast(dict[str, Any], event).get("event") not in ("act", "undo"):
            raise UsageError(f"{path}:{number}: not a line of a ledger; restore the file or start with another one")
        yield cast(dict[str, Any], event)


def _fold(path: Path, events: list[dict[str, Any]]) -> dict[str, Act]:
    acts: dict[str, Act] = {}
    for number, event in enumerate(events, start=1):
        try:
            act = _act_of(event) if event["event"] == "act" else _undone(acts[event["id"]], event)
        except KeyError as error:
            raise UsageError(
                f"{path}:{number}: the line lacks {error} or names an act that is not there; restore the file"
            ) from error
        acts[act.id] = act
    return acts


def _act_of(event: dict[str, Any]) -> Act:
    return Act(
        id=event["id"],
        collection=event["collection"],
        key=event["key"],
        business_key=event["business_key"],
        fencing_token=event["fencing_token"],
        body=event["body"],
        at=event["at"],
    )


def _undone(act: Act, event: dict[str, Any]) -> Act:
    token = event["fencing_token"]
    return replace(act, undone=True, undone_at=event["at"], undo_key=event["key"], undo_fencing_token=token)


class Ledger:
    """The writing side, held by one stand-in at a time. Safe to call from many threads."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        """Open or create the file (owner-only, in an owner-only folder if that is new) and read it.

        Raises EnvironmentTrouble if another stand-in holds it or the folder cannot be written, UsageError if it is
        damaged. A torn last line is cut off.
        """
        self.path = path
        self._now = now
        self._lock = threading.Lock()
        self._usable = True
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EnvironmentTrouble(f"{path}: the ledger cannot be opened ({error.strerror})") from error
        try:
            self._take_over()
        except BaseException:
            os.close(self._descriptor)
            raise

    def _take_over(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnvironmentTrouble(f"{self.path}: another stand-in writes this ledger; stop it first") from None
        os.fchmod(self._descriptor, 0o600)
        data = self.path.read_bytes()
        self._acts = _fold(self.path, list(_events(self.path, data)))
        self._length = data.rfind(b"\n") + 1
        os.ftruncate(self._descriptor, self._length)
        os.fsync(self._descriptor)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(folder)  # a new file's name must outlive a power cut as well
        os.close(folder)
        self._counts: dict[str, int] = {}
        self._by_key: dict[str, Act] = {}
        for act in self._acts.values():
            self._remember(act)

    def close(self) -> None:
        """Let the line that is being written be finished, write none any more, and let go of the file."""
        with self._lock:
            if self._usable:
                os.close(self._descriptor)
            self._usable = False

    def act(self, intent: Intent) -> Act:
        """Record an act; durable on return. Raises OSError with nothing recorded."""
        with self._lock:
            number = self._counts.get(intent.collection, 0) + 1
            act = Act(
                id=f"{intent.collection}-{number}",
                collection=intent.collection,
                key=intent.key,
                business_key=intent.business_key,
                fencing_token=intent.fencing_token,
                body=intent.body,
                at=self.stamp(),
            )
            fields = ("id", "collection", "key", "business_key", "fencing_token", "body", "at", "undone")
            self._append({"event": "act", **{name: getattr(act, name) for name in fields}})
            self._acts[act.id] = act
            self._remember(act)
            return act

    def undo(self, act_id: str, key: str | None, fencing_token: str | None) -> Act:
        """Record that an act is undone; a second time changes and writes nothing. Durable on return.

        Raises KeyError for an unknown act, OSError with nothing recorded.
        """
        with self._lock:
            act = self._acts[act_id]
            if act.undone:
                return act
            event = {
                "event": "undo",
                "id": act_id,
                "collection": act.collection,
                "key": key,
                "fencing_token": fencing_token,
                "at": self.stamp(),
            }
            self._append(event)
            self._acts[act_id] = act = _undone(act, event)
            return act

    def acts(self, *, lag_seconds: float = 0.0) -> list[Act]:
        """All acts in order, as they stood `lag_seconds` ago."""
        with self._lock:
            acts = list(self._acts.values())
        if lag_seconds == 0:
            return acts
        until = self.stamp(ago_seconds=lag_seconds)
        return [_as_of(act, until) for act in acts if act.at <= until]

    def get(self, act_id: str, *, lag_seconds: float = 0.0) -> Act | None:
        """One act as it stood `lag_seconds` ago, or None."""
        with self._lock:
            act = self._acts.get(act_id)
        if act is None or lag_seconds == 0:
            return act
        until = self.stamp(ago_seconds=lag_seconds)
        return _as_of(act, until) if act.at <= until else None

    def first_with_key(self, key: str, *, lifetime_seconds: float | None) -> Act | None:
        """The act that `key` stands for, as it was first answered, or None if the key is unknown or forgotten."""
        with self._lock:
            act = self._by_key.get(key)
        if act is None or lifetime_seconds is None:
            return act
        return act if act.at > self.stamp(ago_seconds=lifetime_seconds) else None

    def stamp(self, *, ago_seconds: float = 0.0) -> str:
        """A moment as the ledger writes it."""
        moment = self._now().astimezone(UTC) - timedelta(seconds=ago_seconds)
        return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def _remember(self, act: Act) -> None:
        self._counts[act.collection] = self._counts.get(act.collection, 0) + 1
        if act.key is not None:
            # The newest one: with a lifetime, a forgotten key acts again and then stands for that act.
            self._by_key[act.key] = replace(act, undone=False, undone_at=None, undo_key=None, undo_fencing_token=None)

    def _append(self, event: dict[str, Any]) -> None:
        if not self._usable:
            raise OSError("the ledger is closed")
        line = json.dumps(event, allow_nan=False).encode() + b"\n"
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError:
            # Whoever reads the file must find whole lines only; if even that fails, nothing may follow the torn one.
            self._usable = False
            os.ftruncate(self._descriptor, self._length)
            self._usable = True
            raise
        self._length += len(line)


def _as_of(act: Act, until: str) -> Act:
    if act.undone_at is None or act.undone_at <= until:
        return act
    return replace(act, undone=False, undone_at=None, undo_key=None, undo_fencing_token=None)
