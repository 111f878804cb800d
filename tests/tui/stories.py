"""A journal with every story that the console has to show, written by the journal's own verbs under a manual clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tape.core.journal import obligations, records, runs, workers
from tape.core.journal.effects import ToolPolicy
from tape.core.kernel.events import PointReached, ServerStarted
from tape.core.kernel.lifecycle import WorkerTrigger
from tape.core.kernel.resolution import Answer, Semantics
from tests.core.view_journals import LOOK_UP, RECOVERY, WIRE, Journal

KILLED = "SIGKILL: killed at {}"
NOBODY_TO_ASK = ToolPolicy()
READ_ONLY = ToolPolicy(semantics=Semantics.READ_ONLY)
UNDOABLE = ToolPolicy(look_up=True, authoritative=True, compensable=True)
PAYS = {"say": "wire", "call": {"to": "ACME", "amount_minor": 12500}}
TTL_US = 15_000_000


class Stories(Journal):
    """`bank` is the stand-in's ledger; `named` maps the name of a story to its run."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder / "dev.db")
        self.bank = folder / "bank.jsonl"
        self.bank.touch()
        self.acts = 0
        self.pid = 12340
        self.named: dict[str, str] = {}

    # --- pieces -------------------------------------------------------------------------------------------------

    def do(self, verb: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return self.writer.apply(lambda tx: verb(tx, *args, **named))

    def server(self) -> None:
        self.do(
            workers.start_service,
            ServerStarted(pid=12300, host="here", boot_id=self.clock.boot_id, release="1.0", sqlite="3.45"),
        )

    def worker(self, pid: int = 0) -> int:
        self.pid += 1
        return super().worker(pid or self.pid)

    def grant(self, run_id: str, worker: int) -> int:
        wait_us = max(0, self.run_row(run_id)["next_boot_us"] - self.clock.boot_us())
        self.clock.advance(0.012 + wait_us / 1_000_000)
        granted = self.do(runs.grant, run_id, worker, ttl_us=TTL_US, concurrency=100, recovery=RECOVERY)
        return granted.epoch

    def decide(self, run_id: str, epoch: int, index: int, reply: Any = None, error: Any = None) -> None:
        self.do(records.ask_model, run_id, epoch, index, "ask_model")
        self.clock.advance(0.002)
        super().decide(run_id, epoch, index, reply, error)

    def begin(
        self, run_id: str, epoch: int, index: int | None = 1, policy: ToolPolicy = LOOK_UP, ordinal: int = 0
    ) -> str:
        self.clock.advance(0.001)
        return super().begin(run_id, epoch, index, policy, ordinal)

    def act(self, key: str, times: int = 1) -> None:
        """The bank does it, and its ledger says so."""
        with self.bank.open("a", encoding="utf-8") as file:
            for _ in range(times):
                self.acts += 1
                file.write(json.dumps({"event": "act", "id": f"wires-{self.acts}", "key": key}) + "\n")

    def undo(self, act: int) -> None:
        with self.bank.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": "undo", "id": f"wires-{act}"}) + "\n")

    def strike(self, run_id: str, worker: int, point: str, death: str = "KILL") -> None:
        """The run's process is killed at the point."""
        self.clock.advance(0.004)
        pid = self.pid_of(worker)
        self.do(workers.reach_point, run_id, PointReached(point=point, death=death, worker=worker, pid=pid))
        self.clock.advance(0.002)
        self.die(worker, KILLED.format(point))

    def run_row(self, run_id: str) -> Any:
        return self.writer.connection.execute("SELECT * FROM run WHERE id = ?", (run_id,)).fetchone()

    def pid_of(self, worker: int) -> int:
        return self.writer.connection.execute("SELECT pid FROM worker WHERE no = ?", (worker,)).fetchone()["pid"]

    def observe(self, run_id: str, key: str, answer: Answer, acts: list[Any]) -> str:
        row = self.writer.connection.execute("SELECT next_boot_us FROM effect WHERE key = ?", (key,)).fetchone()
        self.clock.advance(0.025 + max(0, row["next_boot_us"] - self.clock.boot_us()) / 1_000_000)
        return super().observe(run_id, key, answer, acts)

    def first_half(self, policy: ToolPolicy = LOOK_UP) -> tuple[str, str, int, int]:
        """Two decisions and an intent: run, key, worker, epoch."""
        run_id, worker = self.start(), self.worker()
        epoch = self.grant(run_id, worker)
        self.do(records.attach, run_id, epoch, [])
        self.decide(run_id, epoch, 0, {"say": "a plan"})
        self.decide(run_id, epoch, 1, PAYS)
        return run_id, self.begin(run_id, epoch, 1, policy), worker, epoch

    def second_half(self, run_id: str, *replayed: str, index: int = 2) -> None:
        worker = self.worker()
        epoch = self.grant(run_id, worker)
        self.clock.advance(0.006)
        self.do(records.attach, run_id, epoch, list(replayed))
        self.decide(run_id, epoch, index, {"say": "paid"})
        self.finish(run_id, epoch)
        self.die(worker, "exit 0: the server let it go")

    # --- the stories --------------------------------------------------------------------------------------------

    def story(self, name: str, tell: Callable[[], str]) -> str:
        self.clock.advance(7)
        self.beat()
        self.named[name] = tell()
        return self.named[name]

    def beat(self) -> None:
        """The heartbeat of every living worker."""
        for row in self.writer.connection.execute("SELECT no FROM worker WHERE status = 'READY'").fetchall():
            self.do(runs.renew_leases, row["no"], TTL_US)

    def quiet(self) -> str:
        """A run without a crash."""
        run_id, key, worker, epoch = self.first_half()
        self.act(key)
        self.end(run_id, epoch, key)
        self.decide(run_id, epoch, 2, {"say": "paid"})
        self.finish(run_id, epoch)
        self.die(worker, "exit 0: the server let it go")
        return run_id

    def acted(self) -> str:
        """The demo: killed when the bank had acted, settled by the look-up, driven on."""
        run_id, key, worker, _ = self.first_half()
        self.act(key)
        self.strike(run_id, worker, "effect.acted")
        self.observe(run_id, key, Answer.PRESENT, [WIRE])
        self.second_half(run_id, key)
        return run_id

    def early(self) -> str:
        """Killed before any tool: the model is asked once more."""
        run_id, worker = self.start(), self.worker()
        epoch = self.grant(run_id, worker)
        self.do(records.attach, run_id, epoch, [])
        self.decide(run_id, epoch, 0, {"say": "a plan"})
        self.do(records.ask_model, run_id, epoch, 1, "ask_model")
        self.strike(run_id, worker, "decision.replied")
        self.second_half(run_id, index=1)
        return run_id

    def late(self) -> str:
        """Killed when the outcome was on the tape."""
        run_id, key, worker, epoch = self.first_half()
        self.act(key)
        self.end(run_id, epoch, key)
        self.strike(run_id, worker, "effect.ended")
        self.second_half(run_id, key)
        return run_id

    def asked(self) -> str:
        """WAITING: killed, and the reconciler has yet to ask."""
        run_id, _, worker, _ = self.first_half()
        self.strike(run_id, worker, "effect.begun")
        return run_id

    def nobody(self) -> str:
        """STUCK: no key, no look-up; only a person can know."""
        run_id, key, worker, _ = self.first_half(NOBODY_TO_ASK)
        self.act(key)
        self.strike(run_id, worker, "effect.acted")
        return run_id

    def undoing(self) -> str:
        """COMPENSATING: it failed after it had paid twice; one of the two is undone."""
        run_id, key, worker, epoch = self.first_half(UNDOABLE)
        self.act(key)
        self.end(run_id, epoch, key)
        second = self.begin(run_id, epoch, 1, UNDOABLE, 1)
        self.act(second)
        self.end(run_id, epoch, second)
        self.finish(run_id, epoch, "FAILED", None, {"type": "Boom", "message": "the invoice is disputed"})
        self.die(worker, "exit 0: the server let it go")
        self.fulfil(run_id, f"{second}/undo/1")
        self.undo(self.acts)
        return run_id

    def fulfil(self, run_id: str, duty: str) -> None:
        claim, _ = self.do(
            obligations.claim_duty, run_id, duty, "compensation 12300", claim_us=30_000_000, worker_no=None
        )
        self.do(obligations.fulfil_duty, claim)

    def failed(self) -> str:
        run_id, worker = self.start(), self.worker()
        epoch = self.grant(run_id, worker)
        self.decide(run_id, epoch, 0, {"say": "a plan"})
        self.finish(run_id, epoch, "FAILED", None, {"type": "ValueError", "message": "no such invoice"})
        self.die(worker, "exit 0: the server let it go")
        return run_id

    def cancelled(self) -> str:
        run_id = self.start()
        self.do(workers.place_order, run_id, "cancel", {}, "me@here", "not wanted any more")
        self.do(runs.cancel, run_id)
        return run_id

    def zombie(self) -> str:
        """A worker that was thought dead writes, and is refused; its run is driven by another."""
        run_id, worker = self.start(), self.worker()
        epoch = self.grant(run_id, worker)
        self.decide(run_id, epoch, 0, {"say": "a plan"})
        self.do(workers.move_worker, worker, WorkerTrigger.FREEZE)
        self.clock.advance(TTL_US / 1_000_000 + 1)
        self.do(workers.expire_leases, worker, RECOVERY)
        other = self.worker()
        now = self.grant(run_id, other)
        self.do(records.attach, run_id, now, [])
        self.do(workers.move_worker, worker, WorkerTrigger.THAW)
        self.do(workers.refuse_write, run_id, worker, epoch, "decision", "its lease is over", {"index": 1})
        self.decide(run_id, now, 1, {"say": "paid"})
        return run_id

    def stopped(self) -> str:
        """Step mode: it stands where the intent is durable."""
        run_id, _, _, _ = self.first_half(READ_ONLY)
        return run_id

    def running(self) -> str:
        run_id, worker = self.start(), self.worker()
        epoch = self.grant(run_id, worker)
        self.do(records.attach, run_id, epoch, [])
        self.decide(run_id, epoch, 0, {"say": "a plan"})
        return run_id

    def tell_all(self) -> None:
        """Oldest first, so the newest on screen are the ones that run."""
        self.server()
        for name in (
            "quiet", "failed", "cancelled", "early", "late", "undoing", "nobody", "zombie", "acted", "asked",
            "stopped", "running",
        ):  # fmt: skip
            self.story(name, getattr(self, name))

    def order(self, run_id: str | None, verb: str, args: Any, reason: str = "at the console") -> None:
        self.do(workers.place_order, run_id, verb, args, "me@here", reason)
