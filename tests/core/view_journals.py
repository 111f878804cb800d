"""Journals for tests of the read side, written with the real verbs by the real writer under a manual clock."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from tape.core.clock import ManualClock
from tape.core.journal import children, claims, effects, records, runs, workers
from tape.core.journal.effects import Call, Ending, ToolPolicy
from tape.core.journal.records import Usage
from tape.core.journal.writer import Writer
from tape.core.kernel.events import Decision
from tape.core.kernel.identity import fingerprint
from tape.core.kernel.lifecycle import EffectStatus, WorkerTrigger
from tape.core.kernel.policy import RecoveryPolicy
from tape.core.kernel.resolution import Answer, Step

LOOK_UP = ToolPolicy(look_up=True, authoritative=True)
ASKING = frozenset({Step.ASK, Step.ASK_LATER})
RECOVERY = RecoveryPolicy()
USAGE = Usage(tokens_in=150, tokens_out=60, usd_micro=2_000)
WIRE = {"wire_id": "w-1", "to": "ACME", "amount_minor": 12500}


class Journal:
    """A journal being written; `path` can be read at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock()
        self.writer = Writer(path, self.clock)

    def close(self) -> None:
        self.writer.close()

    def start(self, input: Any = "pay invoice 7", agent: str = "treasury", key: str | None = None) -> str:
        self.clock.advance(0.001)
        return self.writer.apply(lambda tx: runs.start_run(tx, agent, input, start_key=key, actor="me@here"))

    def worker(self, pid: int = 12345) -> int:
        nonce = self.clock.nonce()
        number = self.writer.apply(lambda tx: workers.start_worker(tx, nonce, pid, 77, self.clock.boot_id, "here"))
        self.writer.apply(lambda tx: workers.move_worker(tx, number, WorkerTrigger.HELLO))
        return number

    def grant(self, run_id: str, worker: int) -> int:
        """A lease; returns its epoch."""
        granted = self.writer.apply(
            lambda tx: runs.grant(tx, run_id, worker, ttl_us=10**12, concurrency=100, recovery=RECOVERY)
        )
        return granted.epoch

    def decide(self, run_id: str, epoch: int, index: int, reply: Any = None, error: Any = None) -> None:
        request = {"talk": index}
        print_of = fingerprint("decision", "ask_model", request)
        decision = Decision(
            index=index, name="ask_model", fingerprint=print_of, request=request, reply=reply, error=error
        )
        self.clock.advance(0.08)
        self.writer.apply(lambda tx: records.record_decision(tx, run_id, epoch, decision, USAGE))

    def begin(
        self, run_id: str, epoch: int, index: int | None = 1, policy: ToolPolicy = LOOK_UP, ordinal: int = 0
    ) -> str:
        args = {"to": "ACME", "amount_minor": 12500}
        call = Call(decision_index=index, ordinal=ordinal, tool="wire_money", args=args, policy=policy)
        self.writer.apply(lambda tx: effects.begin_effect(tx, run_id, epoch, call, fingerprint("effect", "x", args)))
        return f"{run_id}/{'-' if index is None else index}/{ordinal}/wire_money"

    def end(self, run_id: str, epoch: int, key: str, ending: Ending | None = None, number: int = 1) -> None:
        ending = ending or Ending(EffectStatus.CONFIRMED, result=WIRE)
        self.clock.advance(0.02)
        self.writer.apply(lambda tx: effects.end_effect(tx, run_id, epoch, key, number, ending, None))

    def die(self, worker: int, how: str = "SIGKILL") -> None:
        self.writer.apply(lambda tx: workers.worker_died(tx, worker, how, RECOVERY, proven=True))

    def observe(self, run_id: str, key: str, answer: Answer, acts: list[Any]) -> str:
        claim = self.writer.apply(
            lambda tx: claims.claim_effect(
                tx, run_id, key, ASKING, "reconciler", what="look-up", claim_us=5_000_000, worker_no=None
            )
        )
        return self.writer.apply(lambda tx: claims.record_observation(tx, claim, answer, acts, ""))

    def finish(
        self, run_id: str, epoch: int, outcome: str = "TERMINAL", result: Any = "paid", error: Any = None
    ) -> None:
        self.writer.apply(lambda tx: runs.end_run(tx, run_id, epoch, outcome, result, error))

    def whole(self, reply: Any = None, policy: ToolPolicy = LOOK_UP) -> str:
        """A run without a crash: two decisions, one effect, TERMINAL."""
        run_id, worker = self.start(), self.worker()
        epoch = self.grant(run_id, worker)
        self.decide(run_id, epoch, 0, reply if reply is not None else {"say": "a plan"})
        key = self.begin(run_id, epoch, 0, policy)
        self.end(run_id, epoch, key)
        self.decide(run_id, epoch, 1, {"say": "done"})
        self.finish(run_id, epoch)
        return run_id

    def killed(self) -> tuple[str, str, int]:
        """The demo's first half: killed with the effect open. Returns run, key and the dead worker."""
        run_id, worker = self.start(), self.worker()
        epoch = self.grant(run_id, worker)
        self.decide(run_id, epoch, 0, {"say": "a plan"})
        self.decide(run_id, epoch, 1, {"say": "wire", "call": {"to": "ACME", "amount_minor": 12500}})
        key = self.begin(run_id, epoch)
        self.die(worker)
        return run_id, key, worker

    def survived(self) -> str:
        """The whole demo: killed mid-effect, observed, driven again, TERMINAL."""
        run_id, key, _ = self.killed()
        self.observe(run_id, key, Answer.PRESENT, [WIRE])
        worker = self.worker(pid=12391)
        epoch = self.grant(run_id, worker)
        self.writer.apply(lambda tx: records.attach(tx, run_id, epoch, [key]))
        self.decide(run_id, epoch, 2, {"say": "paid"})
        self.finish(run_id, epoch)
        return run_id

    def stuck(self) -> tuple[str, str]:
        """An effect that only a person can settle."""
        run_id, worker = self.start(), self.worker()
        epoch = self.grant(run_id, worker)
        self.decide(run_id, epoch, 0)
        key = self.begin(run_id, epoch, 0, ToolPolicy())
        self.die(worker)
        return run_id, key

    def family(self) -> tuple[str, str, str]:
        """A parent that waits, with a child that has ended and one that has not. Returns their ids."""
        run_id = self.start()
        epoch = self.grant(run_id, self.worker())
        done, idle = (
            self.writer.apply(lambda tx, n=n: children.start_child(tx, run_id, epoch, n, "scout", n, "f"))[1]
            for n in (0, 1)
        )
        self.finish(done, self.grant(done, self.worker()), result="found")
        self.writer.apply(lambda tx: runs.park(tx, run_id, epoch, ["child 1"], "waiting"))
        return run_id, done, idle

    def running(self) -> str:
        run_id = self.start()
        epoch = self.grant(run_id, self.worker())
        self.decide(run_id, epoch, 0)
        return run_id


def tamper(path: Path, *statements: str) -> None:
    """Writes behind the journal's back; CHECKs are off, so that any damage can be made."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for statement in statements:
        assert connection.execute(statement).rowcount != 0, statement
    connection.close()
