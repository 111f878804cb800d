"""More stories for the console, told into a journal that goes on: forks, families, gates, hidden values, conflicts."""

from __future__ import annotations

from tape.core.journal import children, claims, effects, forks, gates, quarantine, records, runs
from tape.core.journal.effects import Call, ToolPolicy
from tape.core.journal.purses import Limits
from tape.core.journal.transaction import Tx, edit_run
from tape.core.kernel.events import BudgetLost, Event
from tape.core.kernel.hidden import identified
from tape.core.kernel.identity import fingerprint, hash_json
from tape.core.kernel.resolution import Answer, Dispatch, Step
from tests.core.view_journals import LOOK_UP, RECOVERY, WIRE
from tests.tui.stories import PAYS, UNDOABLE, Stories

HIDDEN = {"/card": {"redacted": "5d0cfeed" * 4}, "/token": {"secret": "BANK_TOKEN"}}
SHOWN = ("‹redacted 5d0cfeed›", "‹secret BANK_TOKEN›")


class Kin(Stories):
    """The same pieces; each story returns its run."""

    def fork(self, source: str, at: int) -> str:
        """A fork that has called a tool in quarantine, and has ended."""
        run_id = self.do(forks.fork_run, source, at, actor="me@here").run
        worker = self.worker()
        epoch = self.grant(run_id, worker)
        self.decide(run_id, epoch, 1, PAYS)
        args = {"to": "ACME", "amount_minor": 12500}
        call = Call(decision_index=1, ordinal=0, tool="wire_money", args=args, policy=LOOK_UP)

        def held(tx: Tx) -> None:
            effects.begin_effect(tx, run_id, epoch, call, fingerprint("effect", "x", args), quarantined=True)
            quarantine.end_in_quarantine(tx, run_id, epoch, f"{run_id}/1/0/wire_money", WIRE)

        self.writer.apply(held)
        self.decide(run_id, epoch, 2, {"say": "paid"})
        self.finish(run_id, epoch)
        self.die(worker, "exit 0: the server let it go")
        return run_id

    def family(self, size: int, *, agent: str = "scout") -> tuple[str, list[str]]:
        """A parent that waits for its children, of which the first one has ended."""
        run_id = self.start()
        epoch = self.grant(run_id, self.worker())

        def begin(tx: Tx) -> list[str]:
            return [children.start_child(tx, run_id, epoch, number, agent, number, "f")[1] for number in range(size)]

        started: list[str] = self.writer.apply(begin)
        self.finish(started[0], self.grant(started[0], self.worker()), result="found")
        self.do(runs.park, run_id, epoch, ["child 1"], "waiting")
        return run_id, started

    def gated(self) -> str:
        """An approval of a call with hidden arguments, used up; then a gate that waits."""
        run_id, worker = self.start(), self.worker()
        epoch = self.grant(run_id, worker)
        self.decide(run_id, epoch, 0, {"say": "a plan"})
        args = {"card": None, "token": None, "cents": 1900}
        bound = {"tool": "charge", "args": args, "hidden": HIDDEN, "args_hash": hash_json(identified(args, HIDDEN))}
        pay = gates.Gate("pay", 0, "Charge 19.00?", ("approve", "deny"), "f", approves=bound)
        self.do(gates.open_gate, run_id, epoch, pay)
        self.do(gates.answer_gate, run_id, gates.Answer("pay", "approve", None, "me@here", "seen"))
        call = Call(0, 0, "charge", args, UNDOABLE, approval="pay 0", hidden=HIDDEN)
        self.do(effects.begin_effect, run_id, epoch, call, "f")
        self.end(run_id, epoch, f"{run_id}/0/0/charge")
        self.do(gates.open_gate, run_id, epoch, gates.Gate("sure", 0, "Sure?", ("yes", "no"), "f"))
        self.do(runs.park, run_id, epoch, ["gate sure 0"], "waiting")
        return run_id

    def lost(self, run_id: str) -> None:
        """A reply of this run's that nobody has seen."""
        self.note(run_id, BudgetLost(place="decision 0", tokens=900, usd_micro=9_000))

    def note(self, run_id: str, event: Event) -> None:
        def record(tx: Tx) -> None:
            run = edit_run(tx, run_id)
            run.record(event)
            run.save()

        self.writer.apply(record)

    def surplus(self) -> tuple[str, str]:
        """An act too much that cannot be undone: an open conflict."""
        run_id, key, worker, _ = self.first_half()
        self.act(key, 2)
        self.strike(run_id, worker, "effect.acted")
        self.observe(run_id, key, Answer.DUPLICATE, [WIRE, {**WIRE, "wire_id": "w-2"}])
        return run_id, key

    def undoable(self) -> tuple[str, str]:
        """A run that goes on, with an act that can be undone."""
        run_id, key, _, epoch = self.first_half(UNDOABLE)
        self.act(key)
        self.end(run_id, epoch, key)
        return run_id, key

    def capped(self) -> str:
        """A run that has spent its cap, and waits for a person to raise it."""
        run_id = self.start()
        epoch = self.grant(run_id, self.worker())
        self.do(records.attach, run_id, epoch, [], {"usd_micro": 50_000}, gated=True)
        self.do(records.ask_model, run_id, epoch, 0, "ask_model", Limits(None, 70_000), fingerprint="f")
        self.do(runs.park, run_id, epoch, ["budget decision 0"], "a cap is in the way")
        return run_id

    def letter(self) -> tuple[str, str]:
        """An effect left to itself that nobody can settle; its run has ended."""
        policy = ToolPolicy(dispatch=Dispatch.OUTBOX)
        run_id, worker = self.start(), self.worker()
        epoch = self.grant(run_id, worker)
        self.decide(run_id, epoch, 0, {"say": "a plan"})
        call = Call(0, 0, "send_mail", {"to": "ACME"}, policy, awaited=False)
        self.do(effects.begin_effect, run_id, epoch, call, "f")
        self.finish(run_id, epoch)
        key = f"{run_id}/0/0/send_mail"
        body = {"what": "body", "claim_us": 5_000_000, "worker_no": None}
        claim = self.do(claims.claim_effect, run_id, key, frozenset(Step), "outbox", **body)
        self.do(claims.lose_dispatch, claim, "lost", None, RECOVERY, body_over=True, died=True)
        return run_id, key
