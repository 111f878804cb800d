"""The one writer: group commit. A batch of verbs is one transaction, each verb whole or absent in it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from tape.core.clock import Clock
from tape.core.journal import dialect
from tape.core.journal.migrations import MIGRATIONS, migrate, refuse_foreign
from tape.core.journal.transaction import Tx
from tape.core.kernel.errors import JournalError, JournalUnavailable, TapeError, UsageError
from tape.core.kernel.events import Entry
from tape.core.kernel.policy import USUAL_ASKS, AskPolicy

Result = TypeVar("Result")
Verb = Callable[[Tx], Result]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Result]):
    """What became of one verb: its result and its entries, or the error that refused it (then nothing was written)."""

    result: Result | None
    error: TapeError | None
    entries: tuple[Entry, ...] = ()


class Writer:
    """Owns the writing connection. Not thread-safe: one thread at a time calls it.

    Raises nothing for a refused verb (its Outcome holds the error). A failing database never half-applies: the
    transaction is rolled back, the connection dropped and opened again, and each verb applied alone; those that
    still fail get JournalUnavailable.
    """

    def __init__(self, path: Path, clock: Clock, asks: AskPolicy = USUAL_ASKS) -> None:
        self.path = path
        self.clock = clock
        self.asks = asks
        refuse_foreign(path)
        dialect.prepare_file(path)
        self.connection = dialect.connect(path)
        try:
            migrate(self.connection, path, clock, MIGRATIONS)
        except sqlite3.Error as error:
            self.connection.close()
            raise dialect.unavailable(path, error) from None
        except JournalError:
            self.connection.close()
            raise
        self._wal_identity = self._identity()
        self._dropped = False

    def commit(self, verbs: Sequence[Verb[Any]], chains: Sequence[Hashable] = ()) -> list[Outcome[Any]]:
        """Runs the verbs in order in one transaction; durable when it returns. Verbs may be run twice: the first
        time in a batch that failed as a whole. A verb that raises what it should not is undone like a refused one:
        one agent's odd frame must not take the others' records with it.

        `chains`, one per verb if given: those of one chain build on each other, so when one of them cannot be written
        the later ones are not either. None is no chain."""
        try:
            return self._transaction(verbs)
        except sqlite3.Error as error:
            if dialect.is_busy(error):  # it was waited for already; waiting again for each verb would take minutes
                return [Outcome(None, dialect.unavailable(self.path, error)) for _ in verbs]
        return self._one_by_one(verbs, chains or [None] * len(verbs))

    def _one_by_one(self, verbs: Sequence[Verb[Any]], chains: Sequence[Hashable]) -> list[Outcome[Any]]:
        outcomes: list[Outcome[Any]] = []
        broken: dict[Hashable, JournalUnavailable] = {}
        for verb, chain in zip(verbs, chains, strict=True):
            outcome: Outcome[Any] = Outcome(None, broken[chain]) if chain in broken else self._alone(verb)
            if chain is not None and isinstance(outcome.error, JournalUnavailable):
                broken[chain] = outcome.error
            outcomes.append(outcome)
        return outcomes

    def _alone(self, verb: Verb[Any]) -> Outcome[Any]:
        try:
            return self._transaction([verb])[0]
        except sqlite3.Error as error:
            return Outcome(None, dialect.unavailable(self.path, error))

    def apply(self, verb: Verb[Result]) -> Result:
        """One verb in a transaction of its own; raises its error."""
        outcome = self.commit([verb])[0]
        if outcome.error is not None:
            raise outcome.error
        return cast(Result, outcome.result)

    def _transaction(self, verbs: Sequence[Verb[Any]]) -> list[Outcome[Any]]:
        try:
            execute = self._usable().execute
        except JournalError as error:
            return [Outcome(None, error) for _ in verbs]
        alone = len(verbs) == 1  # then the transaction is its savepoint
        try:
            execute("BEGIN IMMEDIATE")
            times = self.clock.wall_us(), self.clock.boot_us()
            outcomes = [
                self._verb(verb, Tx(self.connection, self.clock, *times, self.asks), nested=not alone) for verb in verbs
            ]
            execute("ROLLBACK" if alone and outcomes[0].error is not None else "COMMIT")
        except BaseException:
            self._drop()
            raise
        return outcomes

    def _verb(self, verb: Verb[Any], tx: Tx, *, nested: bool) -> Outcome[Any]:
        execute = self.connection.execute
        if nested:
            execute("SAVEPOINT verb")
        refusal: TapeError | None = None
        result: Any = None
        try:
            result = verb(tx)
        except sqlite3.Error:
            raise
        except TapeError as error:
            refusal = error
        except UnicodeEncodeError as error:  # of what somebody typed or an agent gave: SQLite keeps text as UTF-8
            wrong = error.object[error.start : error.end]
            refusal = UsageError(f"what was given is not UTF-8: it holds {wrong!a}; give it without")
        except Exception as error:
            refusal = _defect(error)
        if nested and refusal is not None:
            execute("ROLLBACK TO verb")
        if nested:
            execute("RELEASE verb")
        return Outcome(result, refusal, tuple(tx.told) if refusal is None else ())

    def _drop(self) -> None:
        """After any SQL error the transaction is dead and the connection suspect; the next use opens another."""
        with suppress(sqlite3.Error):  # SQLite may have rolled back already
            self.connection.execute("ROLLBACK")
        self._dropped = True

    def _usable(self) -> sqlite3.Connection:
        if self._dropped:
            # Opened first, closed then: a COMMIT whose sync failed has its pages in the log. As long as a connection is
            # open they are overwritten; without one the log is recovered, and what is to be applied again stands there.
            fresh = dialect.connect(self.path)
            self.connection.close()
            self.connection = fresh
            self._dropped = False
        now = self._identity()
        if self._wal_identity is None:
            self._wal_identity = now
        elif now != self._wal_identity:
            raise JournalUnavailable(
                f"the write-ahead log of {self.path} was replaced by another process: commits would be lost, so "
                "nothing is written any more; stop this server, find that process, then start again"
            )
        return self.connection

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(f"{self.path}-wal")
        except OSError:
            return None
        return (found.st_dev, found.st_ino)

    def close(self) -> None:
        self.connection.close()


def _defect(error: Exception) -> JournalError:
    defect = JournalError(f"a defect in Tape, nothing was written: {type(error).__name__}: {error}; please report it")
    defect.__cause__ = error
    return defect
