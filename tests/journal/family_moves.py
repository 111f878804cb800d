"""The rules of the model test that are about gates and approvals, child runs, forks, and what a person settles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tape.core.journal import children, effects, forks, gates, persons, runs
from tape.core.journal.alarms import set_off
from tape.core.journal.transaction import Tx
from tape.core.journal.work import DueGate
from tape.core.kernel.errors import Refused
from tape.core.kernel.identity import hash_args
from tests.journal import model_forks
from tests.journal.book import BLIND, CONFIRMED, TTL_US, UNDOABLE
from tests.journal.machine import CAPS, MAX_EFFECTS, MOSTLY, NUMBERS, Machine, alive, move, running
from tests.journal.model import Asked, Run
from tests.journal.model_gates import Gate

MOST_RUNS, MOST_KIDS, MOST_GATES = 9, 2, 4
NAMES = ["ok", "ok", "sum"]
ANSWERS = ["yes", "yes", "no", "later"]
GUARDED = [replace(BLIND, needs_approval=True), BLIND, replace(UNDOABLE, needs_approval=True)]
TWO, THREE = ("yes", "no"), ("no", "yes", "later")


def opens_gates(run: Run) -> bool:
    return running(run) and len(run.gates) < MOST_GATES


def at_gate(run: Run) -> bool:
    return any(gate.status == "OPEN" for gate in run.gates)


def with_deadline(run: Run) -> bool:
    return any(gate.status == "OPEN" and gate.deadline is not None for gate in run.gates)


def approved(run: Run) -> list[Gate]:
    """Gates whose answer may approve a call."""
    return [gate for gate in run.gates if gate.approves and gate.status == "ANSWERED" and gate.used_by is None]


def pays(run: Run) -> bool:
    return running(run) and bool(approved(run)) and len(run.effects) - run.inherited < MAX_EFFECTS


def settled(run: Run) -> bool:
    """Something of it can be forked at almost any place."""
    return run.seq > 2


def tried(run: Run) -> bool:
    return run.source is not None and run.quarantine and not run.promoted and run.status != "RUNNING"


def may_fail_above(run: Run) -> bool:
    return running(run) and len(run.kids) < MOST_KIDS and len(run.effects) - run.inherited < MAX_EFFECTS


class FamilyMoves(Machine):
    # --- gates ---

    @move(
        opens_gates,
        every=2,
        number=NUMBERS,
        off=MOSTLY,
        name=NAMES,
        again=[0, 0, 0, 0, -1, 1],
        options=[TWO, TWO, THREE],
        seconds=[None, None, 3, 20],
        bound=[None, "pay", "pay", "pay", "tool"],
    )
    def open_gate(
        self, number: int, off: int, name: str, again: int, options: Any, seconds: int | None, bound: str | None
    ) -> None:
        run_id = self.pick(number, opens_gates)
        run = self.runs[run_id]
        opened = sum(gate.name == name and gate.status != "EARLY" for gate in run.gates)
        epoch, ordinal = run.epoch + off, max(0, opened + again)
        late = options[0] if seconds is not None and number % 2 else None
        act = None if bound is None or (bound == "tool" and number % 3) else (bound, number % 2)
        said = {"tool": act[0], "args": {"n": act[1]}, "args_hash": hash_args({"n": act[1]})} if act else None
        gate = gates.Gate(name, ordinal, "prompt", options, "f", None if seconds is None else seconds, late, said)

        def expect(run: Run) -> None:
            run.open_gate(epoch, Gate(name, ordinal, options=options, on_timeout=late, approves=act), seconds)

        self.apply(run_id, expect, gates.open_gate, run_id, epoch, gate)

    @move(alive, every=3, number=NUMBERS, name=NAMES, value=ANSWERS, ahead=range(3))
    def answer_unasked(self, number: int, name: str, value: str, ahead: int) -> None:
        """Early, for the second time, at an instance that is too far ahead, or rightly."""
        run_id = self.pick(number, alive)
        self.answered(run_id, name, value, ahead if number % 3 else None)

    @move(at_gate, number=NUMBERS, value=ANSWERS, named=range(4))
    def answer(self, number: int, value: str, named: int) -> None:
        run_id = self.pick(number, at_gate)
        waiting = [gate for gate in self.runs[run_id].gates if gate.status == "OPEN"]
        if waiting:
            gate = waiting[number % len(waiting)]
            self.answered(run_id, gate.name, value, gate.ordinal if named else None)

    def answered(self, run_id: str, name: str, value: str, ordinal: int | None) -> None:
        given = gates.Answer(name, value, ordinal, "ann", "looked")
        said, told = self.apply(
            run_id, lambda run: run.answer(name, value, ordinal), *(gates.answer_gate, run_id, given)
        )
        assert told is None or told["status"] == said

    @move(with_deadline, number=NUMBERS, waits=[True, True, False])
    def time_out(self, number: int, waits: bool) -> None:
        run_id = self.pick(number, with_deadline)
        run = self.runs[run_id]
        timed = [gate for gate in run.gates if gate.deadline is not None] or run.gates
        name, ordinal = ("ok", 0) if not timed else timed[number % len(timed)].instance
        if waits and timed:
            self.wait_wall(timed[number % len(timed)].deadline or 0)
        due = DueGate(self.book.run(run_id)["no"], name, ordinal)
        self.apply(run_id, lambda run: run.time_out(name, ordinal), once_due, due)

    @move(running, every=12, number=NUMBERS, off=MOSTLY)
    def unapproved(self, number: int, off: int) -> None:
        run_id = self.pick(number, running)
        epoch = self.runs[run_id].epoch + off
        told = (gates.tell_unapproved, run_id, epoch, "pay", "hash", "nobody approved it")
        self.apply(run_id, lambda run: run.leased(epoch), *told)

    @move(pays, number=NUMBERS, off=MOSTLY, policy=GUARDED, other=range(10), cost=[None, 30])
    def pay(self, number: int, off: int, policy: Any, other: int, cost: int | None) -> None:
        """A call under an approval; sometimes of other arguments, of another tool, or under none."""
        run_id = self.pick(number, pays)
        run = self.runs[run_id]
        gate = next(iter(approved(run)[number % 2 :] or approved(run) or run.gates), Gate("ok", 0))
        tool, args = gate.approves or ("pay", 0)
        asked = Asked(policy, True, cost, tool, args, gate.instance, run.quarantine)
        changed = {
            0: {"args": 1 - args},
            1: {"tool": "tool" if tool == "pay" else "pay"},
            2: {"approval": None},
            3: {"approval": ("sum", number % 2)},
        }
        self.begun(run_id, replace(asked, **changed.get(other, {})), off)

    # --- children ---

    @move(
        lambda run: running(run) and len(run.kids) < MOST_KIDS,
        every=4,
        number=NUMBERS,
        off=MOSTLY,
        ordinal_off=MOSTLY,
    )
    def start_child(self, number: int, off: int, ordinal_off: int) -> None:
        run_id = self.pick(number, lambda run: running(run) and len(run.kids) < MOST_KIDS)
        run = self.runs[run_id]
        if len(self.runs) < MOST_RUNS and len(run.kids) < MOST_KIDS:
            epoch, ordinal = run.epoch + off, run.children + ordinal_off
            start = (children.start_child, run_id, epoch, ordinal, "agent", "task", "f")
            self.apply(run_id, lambda run: run.start_child(epoch, ordinal), *start, born=lambda done: done[1])

    @move(lambda run: run.end is None and run.open_kids > 0, every=9, number=NUMBERS)
    def cancel_parent(self, number: int) -> None:
        run_id = self.pick(number, lambda run: run.end is None and run.open_kids > 0)
        self.apply(run_id, Run.cancel, runs.cancel, run_id)

    @move(may_fail_above, every=7, number=NUMBERS)
    def fail_above(self, number: int) -> None:
        """It acts, starts a child that is driven, and fails: the child is taken back, then its own act is undone."""
        run_id = self.pick(number, may_fail_above)
        run = self.runs[run_id]
        if len(self.runs) >= MOST_RUNS or not may_fail_above(run):
            return
        epoch, ordinal = run.epoch, len(run.effects)
        self.begun(run_id, Asked(UNDOABLE, args=ordinal, quarantined=run.quarantine))
        if len(self.runs[run_id].open()) > len(run.open()):
            ended = (effects.end_effect, run_id, epoch, self.key(run_id, ordinal), 1, CONFIRMED, None)
            self.apply(run_id, lambda run: run.returned(epoch, ordinal, 1, None), *ended)
        start = (children.start_child, run_id, epoch, run.children, "agent", "task", "f")
        kid, _ = self.apply(run_id, lambda now: now.start_child(epoch, run.children), *start, born=lambda done: done[1])
        if kid is not None:
            named = {"ttl_us": TTL_US, "concurrency": 1, "recovery": self.book.recovery}
            self.apply(kid.id, Run.grant, runs.grant, kid.id, self.book.worker(), **named)
        end = (runs.end_run, run_id, epoch, "FAILED", None, {"message": "no"})
        self.apply(run_id, lambda run: run.end_run(epoch, "FAILED"), *end)

    # --- forks ---

    @move(settled, every=8, number=NUMBERS, place=[*range(1, 12), 99], caps=CAPS)
    def fork(self, number: int, place: int, caps: dict[str, int]) -> None:
        """At a random place, at the newest, or where its latest gate was opened."""
        run_id = self.pick(number, settled)
        run = self.runs[run_id]
        opened = [at + 1 for at, record in enumerate(run.tape) if record.kind == "gate_opened"]
        at = opened[-1] if opened and number % 3 == 0 else run.seq if number % 3 == 1 else place
        if len(self.runs) < MOST_RUNS:

            def expect(run: Run) -> Run:
                made = model_forks.fork(run, at)
                made.purse.caps |= caps
                return made

            self.apply(run_id, expect, forks.fork_run, run_id, at, caps=caps, born=lambda done: done.run)

    @move(tried, every=6, number=NUMBERS)
    def promote(self, number: int) -> None:
        run_id = self.pick(number, tried)
        if len(self.runs) <= MOST_RUNS:
            self.apply(run_id, model_forks.promote, forks.promote_fork, run_id, born=lambda done: done.run)

    # --- persons ---

    @move(lambda run: bool(run.disputed), every=3, number=NUMBERS)
    def close_conflict(self, number: int) -> None:
        run_id = self.pick(number, lambda run: bool(run.disputed))
        run = self.runs[run_id]
        ordinal = self.some(number, sorted(run.disputed), len(run.effects))
        close = (persons.close_conflicts, run_id, self.key(run_id, ordinal), "ann", "looked")
        self.apply(run_id, lambda run: run.close_conflict(ordinal), *close)


SITUATIONS = {
    "an approval is used up": "SELECT 1 FROM gate JOIN run ON run.no = run_no WHERE used_by <> '' AND NOT quarantine",
    "an approval is used up in quarantine": "SELECT 1 FROM gate JOIN run ON run.no = run_no "
    "WHERE used_by <> '' AND quarantine",
    "an approval is void": "SELECT 1 FROM entry WHERE kind = 'gate_answered' AND json_extract(body, '$.void')",
    "a gate times out": "SELECT 1 FROM entry WHERE kind = 'gate_answered' AND json_extract(body, '$.timed_out')",
    "an early answer counts": "SELECT 1 FROM entry AS early JOIN gate ON gate.run_no = early.run_no "
    "AND gate.name = json_extract(early.body, '$.name') AND gate.ordinal = json_extract(early.body, '$.ordinal') "
    "WHERE early.kind = 'early_answer' AND gate.status = 'ANSWERED' "
    "AND gate.answered_us = early.at_us AND gate.opened_us IS NOT NULL",
    "a second answer is refused": "SELECT 1 FROM entry WHERE kind = 'answer_refused'",
    "a gate is dropped": "SELECT 1 FROM gate WHERE status = 'DROPPED' AND opened_us IS NOT NULL",
    "a fork waits at a gate of its source": "SELECT 1 FROM gate JOIN run ON run.no = run_no "
    "WHERE source_id IS NOT NULL AND gate.status = 'OPEN'",
    "a fork of a fork": "SELECT 1 FROM run JOIN run AS source ON source.id = run.source_id "
    "WHERE source.source_id IS NOT NULL AND run.quarantine",
    "a promoted fork acts": "SELECT 1 FROM run JOIN effect ON effect.run_no = run.no "
    "WHERE source_id IS NOT NULL AND NOT quarantine AND NOT inherited",
    "a fork starts a child": "SELECT 1 FROM run JOIN run AS parent ON parent.no = run.parent_no "
    "WHERE parent.source_id IS NOT NULL",
    "a child of a child": "SELECT 1 FROM run WHERE depth = 2",
    "a parent takes its child back": "SELECT 1 FROM run JOIN run AS parent ON parent.no = run.parent_no "
    "WHERE run.status = 'CANCELLED' AND parent.status IN ('FAILED', 'CANCELLED')",
    "a parent owes an undo and has a child": "SELECT 1 FROM run WHERE status = 'COMPENSATING' AND children_open "
    "AND EXISTS (SELECT 1 FROM obligation WHERE run_no = run.no AND obligation.status = 'DUE')",
    "a child's cost is in its parent's purse": "SELECT 1 FROM reservation WHERE place LIKE '%/%' "
    "AND NOT EXISTS (SELECT 1 FROM run WHERE run.no = run_no AND place LIKE run.id || '/%')",
    "a dead letter outlives its run": "SELECT 1 FROM effect JOIN run ON run.no = run_no "
    "WHERE NOT awaited AND step = 'person' AND run.status = 'TERMINAL'",
    "an ordered undo is done": "SELECT 1 FROM obligation WHERE ordered AND status = 'DONE'",
    "a cap is raised for a run that goes on": "SELECT 1 FROM entry AS raised JOIN entry AS refused "
    "ON refused.run_no = raised.run_no AND refused.id < raised.id AND refused.kind = 'budget_refused' "
    "WHERE raised.kind = 'budget_raised'",
}
"""What is worth getting to: queries that find something where it has been."""


def once_due(tx: Tx, due: DueGate) -> None:
    """The clock's own verb, which leaves out what is not due (any more)."""
    if set_off(tx, [due]) != 1:
        raise Refused("not due")
