"""A journal on a real file, a clock that stands still, and short names for verbs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tape.core.clock import ManualClock
from tape.core.journal import claims, effects, obligations, records, runs, workers
from tape.core.journal.claims import Claim
from tape.core.journal.dialect import table_of
from tape.core.journal.effects import Call, Ending, ToolPolicy
from tape.core.journal.purses import Limits, Usage
from tape.core.journal.tables import TABLES
from tape.core.journal.transaction import Tx, edit_run, load
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import Refused, TapeError
from tape.core.kernel.events import ChildStarted, Decision, Sample
from tape.core.kernel.identity import effect_key
from tape.core.kernel.lifecycle import EffectStatus, WorkerTrigger
from tape.core.kernel.policy import SECOND_US, RecoveryPolicy
from tape.core.kernel.resolution import Answer, Dispatch, OnUnknown, Semantics, Step

TTL_US = 15 * SECOND_US
CLAIM_US = 30 * SECOND_US
ANY_STEP = frozenset(Step)
Dump = dict[str, list[tuple[Any, ...]]]

READ = ToolPolicy(semantics=Semantics.READ_ONLY)
IDEMPOTENT = ToolPolicy(semantics=Semantics.IDEMPOTENT)
IDEMPOTENT_LOOK_UP = ToolPolicy(semantics=Semantics.IDEMPOTENT, look_up=True)
BLIND = ToolPolicy()
LOOK_UP = ToolPolicy(look_up=True)
SURE = ToolPolicy(look_up=True, authoritative=True, settle_us=2 * SECOND_US)
UNDO_UNKNOWN = ToolPolicy(on_unknown=OnUnknown.COMPENSATE, compensable=True)
UNDOABLE = ToolPolicy(look_up=True, compensable=True)
OUTBOX = ToolPolicy(semantics=Semantics.IDEMPOTENT, dispatch=Dispatch.OUTBOX)
OUTBOX_BLIND = ToolPolicy(dispatch=Dispatch.OUTBOX)
OUTBOX_SURE = ToolPolicy(look_up=True, authoritative=True, dispatch=Dispatch.OUTBOX)

CONFIRMED = Ending(EffectStatus.CONFIRMED, result={"ok": 1})
FAILED = Ending(EffectStatus.FAILED, error={"type": "Rejected", "message": "no"})
BOOM = {"type": "Boom", "message": "it broke"}


class Book:
    """One journal under test."""

    def __init__(self, path: Path, recovery: RecoveryPolicy | None = None) -> None:
        self.path = path
        self.clock = ManualClock()
        self.writer = Writer(path, self.clock)
        self.recovery = recovery or RecoveryPolicy()

    # --- verbs ---

    def do(self, verb: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return self.writer.apply(lambda tx: verb(tx, *args, **named))

    def refused(
        self, verb: Callable[..., Any], *args: Any, by: type[TapeError] = Refused, says: str | None = None, **named: Any
    ) -> TapeError:
        """The verb is refused, and leaves every table as it was."""
        before = self.dump()
        with pytest.raises(by, match=says) as caught:
            self.do(verb, *args, **named)
        assert self.dump() == before, "a refused verb wrote something"
        return caught.value

    def start(self, input: Any = "task", **named: Any) -> str:
        return self.do(runs.start_run, "agent", input, **named)

    def child(self, parent: str, **caps: int) -> str:
        """A run that this one has started, whether it is driven or not."""

        def start(tx: Tx) -> str:
            run = edit_run(tx, parent)
            ordinal: int = run["children"]
            above = runs.Parent(run.no, parent, ordinal, run["depth"], run["quarantine"])
            child = runs.start_run(tx, "agent", "task", caps=caps, parent=above)
            run.record(ChildStarted(ordinal=ordinal, child=child, agent="agent", input="task", fingerprint="f"))
            run.set(children=ordinal + 1, children_open=run["children_open"] + 1)
            run.save()
            return child

        return self.do(start)

    def worker(self) -> int:
        nonce = self.clock.nonce()
        number = self.do(workers.start_worker, nonce, 100, 7, self.clock.boot_id, "here")
        self.do(workers.move_worker, number, WorkerTrigger.HELLO)
        return number

    def grant(self, run_id: str, worker: int | None = None, concurrency: int = 1) -> int:
        """A lease for a worker (a new one if none is named); returns its epoch."""
        number = self.worker() if worker is None else worker
        named = {"ttl_us": TTL_US, "concurrency": concurrency, "recovery": self.recovery}
        return self.do(runs.grant, run_id, number, **named).epoch

    def driven(self, input: Any = "task") -> tuple[str, int]:
        run_id = self.start(input)
        return run_id, self.grant(run_id)

    def decide(self, run_id: str, epoch: int, index: int = 0, usage: Usage | None = None) -> int:
        decision = Decision(index=index, name="ask", fingerprint="f", request={"i": index}, reply=index)
        return self.do(records.record_decision, run_id, epoch, decision, usage or Usage())

    def sample(self, run_id: str, epoch: int) -> int:
        return self.do(records.record_sample, run_id, epoch, Sample(index=0, name="now", fingerprint="f", value=1))

    def begin(self, run_id: str, epoch: int, policy: ToolPolicy = BLIND, ordinal: int = 0, args: Any = None) -> str:
        self.do(effects.begin_effect, run_id, epoch, Call(None, ordinal, "tool", args, policy), "f")
        return effect_key(run_id, None, ordinal, "tool")

    def ask(self, run_id: str, epoch: int, index: int = 0, tokens: int | None = None, usd: int | None = None) -> bool:
        """Holds back what the ask may cost; False if a cap is in the way. `usd` in millionths."""
        before = len(self.bodies("budget_refused"))
        self.do(records.ask_model, run_id, epoch, index, "ask", Limits(tokens, usd), fingerprint="f")
        return len(self.bodies("budget_refused")) == before

    def purse(self, run_id: str, unit: str = "tokens") -> tuple[int | None, int, int, int]:
        """Cap, reserved, spent, lost."""
        sql = "SELECT cap, reserved, spent, lost FROM budget WHERE run_no = ? AND unit = ?"
        return tuple(self.row(sql, self.run(run_id)["no"], unit))

    def end(self, run_id: str, epoch: int, key: str, number: int = 1, ending: Ending = CONFIRMED) -> int:
        return self.do(effects.end_effect, run_id, epoch, key, number, ending, None)

    def fail(self, run_id: str, epoch: int, key: str, number: int = 1) -> Step | None:
        return self.do(effects.fail_attempt, run_id, epoch, key, number, "raised", BOOM, self.recovery)[1]

    def reject(self, run_id: str, epoch: int, key: str, number: int = 1) -> Step | None:
        return self.do(effects.reject_attempt, run_id, epoch, key, number, FAILED.error, self.recovery)[1]

    def die(self, run_id: str, *, proven: bool = True) -> None:
        """The worker that drives the run dies."""
        worker = self.run(run_id)["worker_no"]
        assert self.do(workers.worker_died, worker, "signal 9", self.recovery, proven=proven) == 1

    def again(self, run_id: str) -> int:
        """The back-off passes and a new worker gets the lease."""
        wait_us = max(0, self.run(run_id)["next_boot_us"] - self.clock.boot_us())
        self.clock.advance(wait_us / SECOND_US)
        return self.grant(run_id)

    def retry(self, run_id: str, epoch: int, key: str) -> int:
        """The next attempt of an inline body; returns its number."""
        number = self.effect(key)["attempts"] + 1
        self.do(effects.start_attempt, run_id, epoch, key, number)
        return number

    def due(self, key: str) -> None:
        """Time passes until the effect or duty is due."""
        row = self.duty(key) if "/undo/" in key else self.effect(key)
        self.clock.advance(max(0, row["next_boot_us"] - self.clock.boot_us()) / SECOND_US)

    def claim(self, run_id: str, key: str, what: str = "look-up") -> Claim:
        self.due(key)
        named = {"what": what, "claim_us": CLAIM_US, "worker_no": None}
        return self.do(claims.claim_effect, run_id, key, ANY_STEP, "reactor", **named)

    def observe(self, run_id: str, key: str, answer: Answer, acts: list[Any] | None = None) -> str:
        """A whole look-up; returns the row that applied."""
        claim = self.claim(run_id, key)
        shown = acts if acts is not None else {Answer.PRESENT: [{"id": 1}], Answer.DUPLICATE: [{"id": 1}, {"id": 2}]}
        listed = shown.get(answer, []) if isinstance(shown, dict) else shown
        return self.do(claims.record_observation, claim, answer, listed, "")

    def claim_duty(self, run_id: str, key: str) -> tuple[Claim, str]:
        self.due(key)
        return self.do(obligations.claim_duty, run_id, key, "undoer", claim_us=CLAIM_US, worker_no=None)

    def undo(self, run_id: str, key: str) -> None:
        claim, what = self.claim_duty(run_id, key)
        assert what == "undo"
        self.do(obligations.fulfil_duty, claim)

    # --- what the tables say ---

    def row(self, sql: str, *values: Any) -> Any:
        return self.writer.connection.execute(sql, values).fetchone()

    def rows(self, sql: str, *values: Any) -> list[Any]:
        return self.writer.connection.execute(sql, values).fetchall()

    def run(self, run_id: str) -> Any:
        return self.row("SELECT * FROM run WHERE id = ?", run_id)

    def status(self, run_id: str) -> str:
        return self.run(run_id)["status"]

    def effect(self, key: str) -> Any:
        return self.row("SELECT * FROM effect WHERE key = ?", key)

    def duty(self, key: str) -> Any:
        return self.row("SELECT * FROM obligation WHERE key = ?", key)

    def tape(self, run_id: str) -> list[str]:
        """The kinds of the records with a seq, in order."""
        sql = "SELECT kind FROM entry JOIN run ON run.no = run_no WHERE run.id = ? AND entry.seq > 0 ORDER BY entry.seq"
        return [row["kind"] for row in self.rows(sql, run_id)]

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [load(row["body"]) for row in self.rows("SELECT body FROM entry WHERE kind = ? ORDER BY id", kind)]

    def dump(self) -> Dump:
        names = [table_of(model).name for model in TABLES]
        return {name: [tuple(row) for row in self.rows(f'SELECT * FROM "{name}"')] for name in names}

    def reopen(self) -> None:
        self.writer.close()
        self.writer = Writer(self.path, self.clock)

    def close(self) -> None:
        self.writer.close()
