"""SQLModel rows: one append-only table `entry`, and the current state derived from it in the same transactions.

Private to this folder. Rows with `table=True` do not validate: the CHECKs below come from the kernel's enums, and
others see frozen dataclasses (`views`). Columns are int, str or bytes only, because the compiled statements bypass
bind processors; `_us` is microseconds, of wall time unless the name says `boot`; JSON is text.
"""

# SQLModel declares `__tablename__` as something else than the plain text that its documentation asks for.
# pyright: reportAssignmentType=false

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from tape.core.journal.schema import SCHEMA_VERSION as SCHEMA_VERSION
from tape.core.kernel.lifecycle import (
    RUN_ENDS,
    EffectStatus,
    GateStatus,
    LeaseStatus,
    ObligationStatus,
    RunStatus,
    TimerStatus,
    WorkerStatus,
)
from tape.core.kernel.resolution import Answer, Dispatch, OnUnknown, Semantics, Step


def _one_of(column: str, values: Iterable[str], *, null: bool = False) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    empty = f" OR {column} IS NULL" if null else ""
    return CheckConstraint(f"{column} IN ({listed}){empty}", name=f"{column}_known")


def _enum(column: str, values: type[StrEnum], *, null: bool = False) -> CheckConstraint:
    return _one_of(column, [str(value) for value in values], null=null)


class Meta(SQLModel, table=True):
    name: str = Field(primary_key=True)
    value: str


class EntryRow(SQLModel, table=True):
    """`hash` chains the entries of one run: SHA-256 over the previous one's hash and this row's text."""

    __tablename__ = "entry"
    __table_args__ = (Index("entry_run_seq", "run_no", "seq", unique=True),)
    id: int | None = Field(default=None, primary_key=True)
    run_no: int | None
    seq: int | None
    kind: str
    epoch: int
    at_us: int
    body: str
    hash: bytes


class RunRow(SQLModel, table=True):
    """`lease_until_boot_us` is 0 without a lease; `next_boot_us` is the end of a back-off. `parent_no` and
    `parent_ordinal`: the run that started this one, and which of its children it is. `source_id` and `source_seq`: the
    run that it was forked from; `quarantine`: its new effects touch nothing outside. `caps_known`: the caps that its
    agent declares have been set; `gated`: where a cap of its is in the way, a person is asked. `children` counts the
    runs that it has started, `children_open` those that are not at their end."""

    __tablename__ = "run"
    __table_args__ = (
        _enum("status", RunStatus),
        _one_of("end_status", [str(status) for status in RUN_ENDS], null=True),
        Index(
            "run_open",
            "status",
            "no",
            sqlite_where=text("status NOT IN ('TERMINAL', 'FAILED', 'CANCELLED')"),
        ),
        Index("run_parent", "parent_no", sqlite_where=text("parent_no IS NOT NULL")),
    )
    no: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    agent: str
    status: str
    epoch: int
    seq: int
    decisions: int
    effects: int
    head: bytes
    drive: int
    crashes: int
    asks: int
    worker_no: int | None
    lease_until_boot_us: int
    next_boot_us: int
    waiting_on: str
    end_status: str | None
    error: str
    cancel: int
    start_key: str | None = Field(unique=True)
    created_us: int
    updated_us: int
    parent_no: int | None
    parent_ordinal: int
    depth: int
    source_id: str | None
    source_seq: int
    quarantine: int
    caps_known: int = 0
    children: int
    children_open: int
    gated: int = 0


class _Settling(SQLModel):
    """What effects and obligations have in common: how contract.md section 4 settles them.

    `quiet_boot_us`: the certain end of the latest attempt; `asked_boot_us`: when the latest look-up began.
    """

    semantics: str
    look_up: int
    authoritative: int
    settle_us: int
    on_unknown: str
    key_lifetime_us: int | None
    attempts: int
    first_us: int
    body_over: int
    quiet_boot_us: int
    asked_boot_us: int
    answer: str
    asks: int
    step: str
    next_boot_us: int
    claim_epoch: int
    claim_by: str
    claim_until_boot_us: int
    hook_crashes: int


def _settling_checks() -> tuple[CheckConstraint, ...]:
    return (
        _enum("semantics", Semantics),
        _enum("on_unknown", OnUnknown),
        _enum("answer", Answer),
        _one_of("step", ["", *(str(step) for step in Step)]),
    )


class EffectRow(_Settling, table=True):
    """`clean`: every earlier attempt is known not to have acted. `step` is empty while a live body runs. `awaited`: the
    run waits for its end. `inherited`: it was taken over, settled, with the tape that this run was forked from.
    `cost_micro`: what its tool declares that it costs, in millionths of a dollar. `timeout_us`: the time limit that its
    tool declares."""

    __tablename__ = "effect"
    __table_args__ = (
        _enum("status", EffectStatus),
        _enum("dispatch", Dispatch),
        *_settling_checks(),
        # Those that have not ended. Of a run that has, only what was left to itself.
        Index("effect_open", "run_no", sqlite_where=text("status IN ('PENDING', 'UNKNOWN')")),
        {"sqlite_with_rowid": False},
    )
    run_no: int = Field(primary_key=True)
    key: str = Field(primary_key=True)
    tool: str
    decision_index: int
    ordinal: int
    args_hash: str
    status: str
    dispatch: str
    compensable: int
    business_key: str | None
    retries: int
    clean: int
    live_failures: int
    resolution: str
    writer: str
    begun_id: int
    ended_id: int | None
    awaited: int
    inherited: int
    cost_micro: int | None = None
    timeout_us: int | None = None


class ObligationRow(_Settling, table=True):
    """`position` is the seq of the act's `effect_begun`: newest first is largest first. `auto`: a run that fails
    owes it; without, it is owed only where nobody knows (N-undo) or for a surplus act (its result is `act`). `ordered`:
    a person wants it undone."""

    __tablename__ = "obligation"
    __table_args__ = (
        _enum("status", ObligationStatus),
        *_settling_checks(),
        Index("obligation_open", "run_no", sqlite_where=text("status IN ('DUE', 'CLAIMED', 'STUCK')")),
        {"sqlite_with_rowid": False},
    )
    run_no: int = Field(primary_key=True)
    key: str = Field(primary_key=True)
    effect_key: str
    position: int
    auto: int
    status: str
    why: str
    act: str
    ordered: int


class AttemptRow(SQLModel, table=True):
    __tablename__ = "attempt"
    __table_args__ = ({"sqlite_with_rowid": False},)
    run_no: int = Field(primary_key=True)
    key: str = Field(primary_key=True)
    what: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    by: str
    worker_no: int | None
    epoch: int
    started_us: int
    ended_us: int | None
    how: str
    evidence: str


class LeaseRow(SQLModel, table=True):
    __tablename__ = "lease"
    __table_args__ = (
        _enum("status", LeaseStatus),
        Index("lease_live", "worker_no", sqlite_where=text("status = 'LIVE'")),
        {"sqlite_with_rowid": False},
    )
    run_no: int = Field(primary_key=True)
    epoch: int = Field(primary_key=True)
    worker_no: int
    drive: int
    status: str
    alone: int
    first_seq: int
    granted_us: int
    ended_us: int | None
    why: str


class BudgetRow(SQLModel, table=True):
    """`unit`: tokens, usd_micro, or `calls:<tool>`. `lost` is the part of `spent` that was reserved for bills that
    nobody has seen."""

    __tablename__ = "budget"
    __table_args__ = ({"sqlite_with_rowid": False},)
    run_no: int = Field(primary_key=True)
    unit: str = Field(primary_key=True)
    cap: int | None
    reserved: int
    spent: int
    lost: int


class ReservationRow(SQLModel, table=True):
    """What is held back for one ask or act, in the run's own purse and in every ancestor's. `place`: `decision 3` or
    an effect's key."""

    __tablename__ = "reservation"
    __table_args__ = ({"sqlite_with_rowid": False},)
    run_no: int = Field(primary_key=True)
    place: str = Field(primary_key=True)
    unit: str = Field(primary_key=True)
    amount: int


class CapWaitRow(SQLModel, table=True):
    """An ask or a call that waits for a person to raise a cap, by its `place`. `wants` is JSON, by unit what it takes
    at most (null: all that is left); `unit`, `asked` and `purse_no`: the first cap that was in its way. ANSWERED: the
    person will not, and it gets its refusal when it is asked for again. `recheck`: money has been given back since."""

    __tablename__ = "cap_wait"
    __table_args__ = (
        _one_of("status", [str(GateStatus.OPEN), str(GateStatus.ANSWERED)]),
        Index("cap_wait_recheck", "run_no", sqlite_where=text("recheck = 1")),
        {"sqlite_with_rowid": False},
    )
    run_no: int = Field(primary_key=True)
    place: str = Field(primary_key=True)
    status: str
    wants: str
    unit: str
    asked: int
    purse_no: int
    since_us: int
    actor: str
    reason: str
    recheck: int


class TimerRow(SQLModel, table=True):
    __tablename__ = "timer"
    __table_args__ = (
        _enum("status", TimerStatus),
        Index("timer_due", "fire_us", sqlite_where=text("status = 'SET'")),
        {"sqlite_with_rowid": False},
    )
    run_no: int = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    fire_us: int
    status: str


class GateRow(SQLModel, table=True):
    """`options` is a JSON list of texts; `approves` the JSON of the call that the answer is bound to, or empty, and
    `used_by` the key of the effect that used it up. EARLY: answered before the run came to it."""

    __tablename__ = "gate"
    __table_args__ = (
        _enum("status", GateStatus),
        Index("gate_due", "deadline_us", sqlite_where=text("status = 'OPEN' AND deadline_us IS NOT NULL")),
        {"sqlite_with_rowid": False},
    )
    run_no: int = Field(primary_key=True)
    name: str = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    status: str
    prompt: str
    options: str
    approves: str
    answer: str | None
    actor: str
    reason: str
    on_timeout: str | None
    opened_us: int | None
    deadline_us: int | None
    answered_us: int | None
    used_by: str


class BlobRow(SQLModel, table=True):
    """A value that entries refer to by the hash of its JSON: each once per journal."""

    __tablename__ = "blob"
    __table_args__ = ({"sqlite_with_rowid": False},)
    hash: str = Field(primary_key=True)
    body: str


class ConflictRow(SQLModel, table=True):
    __tablename__ = "conflict"
    no: int | None = Field(default=None, primary_key=True)
    run_no: int = Field(index=True)
    key: str
    why: str
    evidence: str
    opened_us: int
    closed_us: int | None


class OrderRow(SQLModel, table=True):
    __tablename__ = "order"
    no: int | None = Field(default=None, primary_key=True)
    run_no: int | None
    verb: str
    args: str
    actor: str
    reason: str
    placed_us: int


class WorkerRow(SQLModel, table=True):
    """Identity is boot id, pid, start ticks and nonce: a number that comes again is not the same process."""

    __tablename__ = "worker"
    __table_args__ = (
        _enum("status", WorkerStatus),
        Index("worker_alive", "status", sqlite_where=text("status <> 'DEAD'")),
    )
    no: int | None = Field(default=None, primary_key=True)
    nonce: str = Field(unique=True)
    pid: int
    start_ticks: int
    boot_id: str
    host: str
    status: str
    started_us: int
    died_us: int | None
    how: str
    proven: int


TABLES = (
    Meta,
    EntryRow,
    RunRow,
    EffectRow,
    ObligationRow,
    AttemptRow,
    LeaseRow,
    BudgetRow,
    ReservationRow,
    CapWaitRow,
    TimerRow,
    GateRow,
    BlobRow,
    ConflictRow,
    OrderRow,
    WorkerRow,
)
