"""Entries of one run for the tests of stories and verdicts: written by hand, or by the journal's own verbs."""

from __future__ import annotations

from typing import Any

from tape.core.journal import workers
from tape.core.journal.views import open_reader
from tape.core.kernel import events
from tape.core.kernel.events import Entry, Event, PointReached
from tests.journal.book import Book

RUN = "r-7f3a00000000"
KEY = f"{RUN}/1/0/wire_money"
ACME = {"to": "ACME", "amount_minor": 12500}
WIRE = {"wire_id": "wires-1", **ACME}
KILLED = "SIGKILL: killed at effect.acted"
START_US = 1_795_398_401_000_000


class Script:
    """A run's entries, one after the other; `at` is milliseconds since the start."""

    def __init__(self, run_id: str = RUN) -> None:
        self.run_id = run_id
        self.entries: list[Entry] = []
        self.seq = 0

    def add(self, at: float, event: Event, *, epoch: int = 1, run_id: str | None = "") -> Script:
        seq = None
        if event.kind in events.TAPE_KINDS:
            seq = self.seq = self.seq + 1
        whose = self.run_id if run_id == "" else run_id
        at_us = START_US + int(at * 1000)
        self.entries.append(Entry(len(self.entries) + 1, whose, seq, epoch, at_us, event))
        return self

    def start(self, worker: int = 1) -> Script:
        self.add(0, events.RunStarted(agent="treasury", input="pay invoice 7"), epoch=0)
        return self.grant(1, worker=worker)

    def grant(self, at: float, *, epoch: int = 1, drive: int = 1, worker: int = 1, index: int = 0) -> Script:
        granted = events.LeaseGranted(
            worker=worker, pid=12345 + worker - 1, epoch=epoch, drive=drive, decision_index=index, next_seq=self.seq + 1
        )
        return self.add(at, granted, epoch=epoch)

    def attach(self, at: float, *replayed: str, epoch: int = 1, drive: int = 1, index: int = 0) -> Script:
        done = events.Attached(decision_index=index, next_seq=self.seq + 1, drive=drive, replayed=list(replayed))
        return self.add(at, done, epoch=epoch)

    def decide(self, at: float, index: int, *, epoch: int = 1, reply: Any = "plan") -> Script:
        self.add(at - 0.5, events.ModelAsked(index=index, name="ask_model"), epoch=epoch)
        decision = events.Decision(index=index, name="ask_model", fingerprint="f", request=None, reply=reply)
        self.add(at, decision, epoch=epoch)
        paid = events.Charge(pays_for=f"decision {index}", tokens_in=150, tokens_out=60, usd_micro=2000)
        return self.add(at, paid, epoch=epoch)

    def begin(self, at: float, *, key: str = KEY, tool: str = "wire_money", args: Any = None, **named: Any) -> Script:
        fields = {"semantics": "non_idempotent", "look_up": True, **named}
        begun = events.EffectBegun(
            key=key,
            decision_index=1,
            ordinal=0,
            tool=tool,
            args=ACME if args is None else args,
            args_hash="h",
            fingerprint="f",
            **fields,
        )
        return self.add(at, begun)

    def end(self, at: float, how: str, *, writer: str, row: str = "", epoch: int = 1, **named: Any) -> Script:
        fields = {"key": KEY, "tool": "wire_money", "status": "CONFIRMED", "result": WIRE, "attempt": 1, **named}
        return self.add(at, events.EffectEnded(resolution=how, writer=writer, row=row, **fields), epoch=epoch)

    def reach(
        self, at: float, point: str = "effect.acted", death: str = "KILL", *, worker: int = 1, epoch: int = 1
    ) -> Script:
        reached = events.PointReached(point=point, death=death, worker=worker, pid=12345 + worker - 1)
        return self.add(at, reached, epoch=epoch)

    def lose(self, at: float, why: str = KILLED, *, status: str = "DIED", worker: int = 1, epoch: int = 1) -> Script:
        ended = events.LeaseEnded(worker=worker, pid=12345 + worker - 1, epoch=epoch, status=status, why=why)
        return self.add(at, ended, epoch=epoch)

    def doubt(self, at: float, step: str = "ask", row: str = "N-ask-look-up", why: str = KILLED) -> Script:
        self.add(at, events.AttemptEnded(key=KEY, what="body", number=1, how=why), epoch=2)
        return self.add(at, events.EffectDoubted(key=KEY, status="UNKNOWN", row=row, step=step, why=why), epoch=2)

    def move(self, at: float, was: str, status: str, why: str = "", *, epoch: int = 2, helps: Any = ()) -> Script:
        return self.add(at, events.RunMoved(status=status, was=was, why=why, commands=list(helps)), epoch=epoch)

    def ask(self, at: float, number: int = 1, *, worker: int = 2) -> Script:
        self.add(at, events.Claimed(key=KEY, by="reconciler 9", claim_epoch=number), epoch=2)
        started = events.AttemptStarted(key=KEY, what="look-up", number=number, by="reconciler 9", worker=worker)
        return self.add(at, started, epoch=2)

    def answer(self, at: float, answer: str, row: str, step: str, number: int = 1) -> Script:
        detail = {"acts": [WIRE]} if answer == "present" else None
        seen = events.Observed(key=KEY, number=number, answer=answer, row=row, step=step, detail=detail)
        return self.add(at, seen, epoch=2)

    def finish(self, at: float, *, worker: int = 2, epoch: int = 3, outcome: str = "TERMINAL") -> Script:
        self.lose(at, "the run ended", status="RELEASED", worker=worker, epoch=epoch)
        self.add(at, events.RunEnded(outcome=outcome, result="paid"), epoch=epoch)
        return self.move(at, "RUNNING", outcome, epoch=epoch)


def to_effect(**named: Any) -> Script:
    """The demo's run up to the intent of its effect: six records."""
    script = Script().start().attach(10)
    return script.decide(81, 0).decide(163, 1, reply={"call": ACME}).begin(164, **named)


def killed() -> Script:
    """The demo, up to the moment in which the death is known."""
    script = to_effect().reach(175)
    script.add(176, events.WorkerDied(worker=1, pid=12345, how=KILLED, proven=True), epoch=0, run_id=None)
    return script.lose(176).doubt(176).move(176, "RUNNING", "WAITING", KILLED)


def demo() -> Script:
    """The demo from its start to its end: killed when the bank had acted, settled by the look-up."""
    script = killed().ask(180).answer(206, "present", "N-present", "confirm")
    script.end(206, "observed", writer="reconciler", row="N-present", epoch=2)
    script.move(206, "WAITING", "RUNNABLE", f"{KEY} is settled: N-present")
    script.grant(219, epoch=3, drive=2, worker=2, index=2).attach(225, KEY, epoch=3, drive=2, index=2)
    return script.decide(240, 2, epoch=3).finish(245)


def entries_of(book: Book, run_id: str) -> list[Entry]:
    with open_reader(book.path) as reader:
        return reader.entries(run_id=run_id, limit=None)


def reach_and_die(book: Book, run_id: str, point: str = "effect.acted") -> None:
    """The run's driver is killed at the point."""
    worker = book.run(run_id)["worker_no"]
    book.do(workers.reach_point, run_id, PointReached(point=point, death="KILL", worker=worker, pid=100))
    book.clock.advance(0.002)
    book.die(run_id)
