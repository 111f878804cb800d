"""Operators' orders: one way for console, command line and scenarios. Over the socket if a server holds the journal's
lock; else the lock is taken, the journal written, and the lock given back (api.md section 4)."""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tape.core.clock import Clock, SystemClock
from tape.core.config import Config, suggest
from tape.core.dial import NoServer, ask
from tape.core.journal.environment import lock_path
from tape.core.kernel import errors
from tape.core.kernel.errors import EnvironmentTrouble, ServerUnavailable, TapeError, UsageError

if TYPE_CHECKING:
    from tape.core.journal.transaction import Tx

PAUSE_SECONDS = 0.05
PATIENCE = 40
NEEDS_SERVER = frozenset({"kill", "thaw", "step", "disarm"})


@dataclass(frozen=True, slots=True)
class Order:
    """A wish, with who and why. Verbs and their args: start {agent, input, key}; cancel, redrive {}; resolve {key,
    how, result}, where `how` is confirm, fail, retry, undo (an act of a run that goes on) or close (the conflicts of
    this key); answer {gate, value, ordinal}: without an ordinal the open instance, or the next one; budget {caps:
    {tokens, usd_micro, calls:<tool>}}, or {deny: true} for a run that waits for a cap: it stays as it is; fork {at, and
    an input if it is to be another}; promote {}; kill {at, tool, decision_index, nth, signal, each_run, pid}; disarm
    {at}; thaw {}; step {to, tool, decision_index, nth, go}; gc {groups, until} or {values, after}: a batch of what
    retention removes."""

    verb: str
    run_id: str | None = None
    args: Mapping[str, Any] = field(default_factory=lambda: {})
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """The order's result; `served` says whether a server took it."""

    result: dict[str, Any]
    served: bool


def operator_name() -> str:
    """`user@host`, for the record."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def socket_path(journal: Path) -> str:
    """Where a server of this journal listens: in $XDG_RUNTIME_DIR or an owner-only folder of the system's temporary
    folder, named by a hash of the journal's real path (a socket's path must stay below 108 bytes)."""
    digest = hashlib.sha256(os.fsencode(os.path.realpath(journal))).hexdigest()[:20]
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and len(base) < 60 and os.access(base, os.W_OK):
        folder = Path(base) / "tape"
    else:
        folder = Path(tempfile.gettempdir() if len(tempfile.gettempdir()) < 60 else "/tmp") / f"tape-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise EnvironmentTrouble(f"cannot make {folder} for the server's socket: {error.strerror}") from None
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077 or not stat.S_ISDIR(found.st_mode):
        raise EnvironmentTrouble(f"{folder} must be a folder that only you can enter: remove it or mend its mode")
    return str(folder / f"{digest}.sock")


SERVER_PATIENCE_US = 500_000
COMMAND_PATIENCE_US = 10_000_000
UNKNOWN = "unknown"


class Lock:
    """The right to write one journal: an flock on `<journal>.lock`, never on the database. Context manager. `brief`: a
    command's, which has written in an instant."""

    def __init__(self, journal: Path, *, brief: bool = False) -> None:
        self.path = lock_path(journal)
        self._brief = brief
        self._fd: int | None = None

    def take(self) -> bool:
        """True if it is ours now, False if another process holds it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EnvironmentTrouble(
                f"cannot open {self.path}: {error.strerror}; make the folder writable or set TAPE_JOURNAL"
            ) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"" if self._brief else str(os.getpid()).encode(), 0)
        self._fd = fd
        return True

    def take_patiently(self, clock: Clock) -> bool:
        """The same, but a command that holds it for an instant is waited for, for longer on a machine that is busy; a
        server that is about to end only for a moment."""
        started = clock.boot_us()
        while not self.take():
            patience_us = SERVER_PATIENCE_US if self.holder() != UNKNOWN else COMMAND_PATIENCE_US
            if clock.boot_us() - started > patience_us:
                return False
            clock.sleep(0.02)
        return True

    @property
    def held(self) -> bool:
        return self._fd is not None

    def holder(self) -> str:
        """The pid of who holds it, as written there."""
        try:
            return self.path.read_text("ascii").strip() or UNKNOWN
        except OSError:
            return UNKNOWN

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def place(config: Config, order: Order) -> Placed:
    """Has the order done. Raises the error of the verb, or ServerUnavailable where only a server can do it."""
    lock = Lock(config.journal, brief=True)
    for pause in (*[PAUSE_SECONDS] * PATIENCE, 0):
        if lock.take():
            break
        try:
            return Placed(_ask_server(config, order), served=True)
        except NoServer:  # it is just starting or stopping, or another command is writing
            if not pause:
                raise
            SystemClock().sleep(pause)
    try:
        if order.verb in NEEDS_SERVER:
            raise ServerUnavailable("no server runs for this project: start `tape dev` or `tape server` first")
        return Placed(_write_alone(config, order), served=False)
    finally:
        lock.release()


def _ask_server(config: Config, order: Order) -> dict[str, Any]:
    frame = {
        "t": "order",
        "verb": order.verb,
        "run_id": order.run_id,
        "args": dict(order.args),
        "actor": order.actor or operator_name(),
        "reason": order.reason,
    }
    answer = ask(socket_path(config.journal), frame)
    error = answer.get("error")
    if error is not None:
        kind = getattr(errors, error["type"], TapeError)
        raise kind(error["message"])
    return answer["result"]


def _write_alone(config: Config, order: Order) -> dict[str, Any]:
    from tape.core.journal.writer import Writer

    writer = Writer(config.journal, SystemClock())
    try:
        return writer.apply(journal_verb(config, order))
    finally:
        writer.close()


def journal_verb(config: Config, order: Order) -> Callable[[Tx], dict[str, Any]]:
    """The order as one verb, recorded with who and why. Raises UsageError for an order that does not exist."""
    from tape.core.journal import workers

    work = _work_of(config, order)
    actor = order.actor or operator_name()

    def verb(tx: Tx) -> dict[str, Any]:
        if order.run_id is not None:
            workers.place_order(tx, order.run_id, order.verb, dict(order.args), actor, order.reason)
        return work(tx)

    return verb


def _work_of(config: Config, order: Order) -> Callable[[Tx], dict[str, Any]]:
    from tape.core.journal import capgates, claims, forks, gates, obligations, persons, runs

    args, run_id = order.args, order.run_id
    actor = order.actor or operator_name()
    if order.verb == "start":
        agent = agent_name(config, args.get("agent"))
        known = _caps(config)
        return lambda tx: {
            "run": runs.start_run(tx, agent, args.get("input"), start_key=args.get("key"), actor=actor, caps=known)
        }
    if order.verb == "gc":
        return _collecting(order)
    if run_id is None:
        raise UsageError(f"`{order.verb}` needs a run")
    if order.verb == "cancel":
        return lambda tx: {"status": runs.cancel(tx, run_id)}
    if order.verb == "redrive":
        return lambda tx: {"status": runs.redrive(tx, run_id)}
    if order.verb == "answer":
        said = gates.Answer(args["gate"], args["value"], args.get("ordinal"), actor, order.reason)
        return lambda tx: gates.answer_gate(tx, run_id, said)
    if order.verb == "budget":
        told = dict(args.get("caps") or {})
        if args.get("deny"):
            if told:
                raise UsageError("a cap is raised or denied, not both")
            return lambda tx: capgates.deny_caps(tx, run_id, actor, order.reason)
        return lambda tx: capgates.raise_caps(tx, run_id, told, actor, order.reason)
    if order.verb in ("fork", "promote"):
        known = _caps(config)
        if order.verb == "promote":
            return lambda tx: asdict(forks.promote_fork(tx, run_id, actor=actor, reason=order.reason, caps=known))
        at, given = args.get("at"), args.get("input", forks.SAME_INPUT)
        if type(at) is not int:
            raise UsageError(f"a fork needs the seq it begins behind, a whole number, not {at!r}")
        return lambda tx: asdict(forks.fork_run(tx, run_id, at, input=given, actor=actor, caps=known))
    if order.verb == "resolve":
        key, how = args["key"], args["how"]
        if how == "close":
            return lambda tx: {"status": persons.close_conflicts(tx, run_id, key, actor, order.reason)}
        if how == "undo":
            return lambda tx: {"status": persons.undo_effect(tx, run_id, key, order.reason)}
        if "/undo/" in key:
            return lambda tx: {"status": obligations.resolve_duty(tx, run_id, key, how, order.reason)}
        result = args.get("result")
        return lambda tx: {"status": claims.resolve_effect(tx, run_id, key, how, result, order.reason)}
    raise UsageError(f"no order is called {order.verb!r}")


def _caps(config: Config) -> dict[str, int]:
    caps = {"tokens": config.budget.tokens, "usd_micro": config.budget.usd_micros}
    return {unit: cap for unit, cap in caps.items() if cap is not None}


def _collecting(order: Order) -> Callable[[Tx], dict[str, Any]]:
    from tape.core.journal import retention

    args, actor = order.args, order.actor or operator_name()
    if "values" in args:
        return lambda tx: retention.remove_values(tx, args["values"], args["after"])
    return lambda tx: retention.remove_runs(tx, args["groups"], args["until"], actor, order.reason)


def agent_name(config: Config, asked: str | None) -> str:
    """The agent that is meant; without a name the project's only one. Raises UsageError."""
    known = list(config.agents)
    if asked is None:
        if len(known) == 1:
            return known[0]
        raise UsageError(f"this project has several agents, say which: {', '.join(known)}")
    if asked not in config.agents:
        near = suggest(asked, known)
        hint = f"did you mean {near}?" if near else f"it has: {', '.join(known)}"
        raise UsageError(f"tape.yaml has no agent {asked!r}; {hint}")
    return asked
