"""The exception tree. Every message says what happened, where, and what to do next.

`TapeError` is what a caller may catch. `RunInterrupted` derives from BaseException: it unwinds an agent function
and must not be swallowed by an author's `except Exception` (contract.md section 5).
"""

from __future__ import annotations

from typing import Self


class TapeError(Exception):
    """Base of every error that Tape raises on purpose."""


class UsageError(TapeError):
    """Wrong input, configuration or use of the API. The command line exits with 2."""


class EnvironmentTrouble(TapeError):
    """The machine or the journal is not usable as it stands. The command line exits with 3."""


class ServerUnavailable(EnvironmentTrouble):
    """No server answers where one is needed, or another one holds the journal."""


class JournalError(TapeError):
    """A verb was refused, or the journal cannot be used."""


class JournalUnavailable(JournalError, EnvironmentTrouble):
    """The journal cannot be read or written now (locked, disk full, I/O error). Never a run's outcome."""


class SchemaTooNew(JournalError, EnvironmentTrouble):
    """A newer release wrote this journal; it is not touched."""


class Refused(JournalError):
    """A verb found another state than it expects (compare-and-set); nothing was written."""


class NotFound(Refused, UsageError):
    """No such run, effect, worker or timer."""


class Fenced(Refused):
    """The writer holds no live lease, or not under this epoch; nothing was applied (invariant I6)."""


class IllegalTransition(Refused):
    """The life-cycle tables have no such transition (invariant I9)."""


class CancelRequested(Refused):
    """The run is being cancelled: no new work begins."""


class KeyConflict(Refused):
    """The same key with other arguments (invariant I14)."""


class Diverged(TapeError):
    """On replay the agent asked for something else than its tape holds (contract.md section 5)."""


class Rejected(TapeError):
    """Raised by an author's tool body: this attempt certainly did not act."""


class EffectFailed(TapeError):
    """An effect ended FAILED: it is certainly not in effect. The same on replay."""


class ResultUnrecordable(TapeError):
    """A tool body returned (so it has acted), but its result is not JSON or over 1 MiB. The same on replay."""


class ModelFailed(TapeError):
    """The model function raised; the error is the recorded decision. The same on replay."""


class SampleFailed(TapeError):
    """A sample function raised; the error is the recorded sample. The same on replay."""


class BudgetExceeded(TapeError):
    """A budget's cap is in the way: the model was not asked, or the tool not entered. The same on replay."""


class NotApproved(TapeError):
    """The call needs an approval, and none is bound to exactly these arguments. The same on replay."""


class GateTimeout(TapeError):
    """Nobody answered a gate in time. The same on replay."""


class ChildFailed(TapeError):
    """A child run ended FAILED or CANCELLED. The same on replay."""


class RunInterrupted(BaseException):
    """Unwinds an agent function. Not an `Exception`: authors' handlers must let it pass."""

    def copy(self) -> Self:
        """One of its own for each that is to raise it: a shared one would collect tracebacks."""
        return type(self)(*self.args)


class RunParked(RunInterrupted):
    """The run waits for something outside; it is driven again later."""


class RunCancelled(RunInterrupted):
    """The run was cancelled by a person."""


class LeaseLost(RunInterrupted):
    """Another worker owns the run now; nothing this drive does is recorded any more."""


class RunDiverged(RunInterrupted):
    """The agent's code does not fit its tape any more; the run is STUCK."""


def text_of(error: BaseException) -> str:
    """The error's text; the name of its type if it cannot say it: an author's `__str__` may raise anything."""
    try:
        return str(error)
    except Exception:
        return type(error).__name__


def machine_line(error: OSError) -> str:
    """What the machine refuses and where, on one line: `FILE: No space left on device`."""
    why = error.strerror or one_line(error)
    return f"{error.filename}: {why}" if error.filename else why


def one_line(error: BaseException, limit: int = 400) -> str:
    """The error's text on one line, cut to `limit` characters with a visible mark."""
    text = " ".join(text_of(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
