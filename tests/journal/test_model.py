"""Random sequences of verbs against the pure model, with every invariant checked after each step.

The sequences are the same each time. `TAPE_TEST_SEED=N` draws others, and `TAPE_TEST_PROFILE=journal-thorough` runs it
some fifty times longer.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import seed as seeded
from hypothesis.stateful import invariant, run_state_machine_as_test

from tape.core.journal import claims, effects, obligations, persons, records, runs, workers
from tape.core.journal.caps import set_caps
from tape.core.journal.claims import Claim
from tape.core.journal.purses import Limits
from tape.core.journal.work import _DUTIES
from tape.core.kernel.errors import Fenced
from tape.core.kernel.events import Decision
from tape.core.kernel.lifecycle import LeaseTrigger
from tape.core.kernel.resolution import Answer, Dispatch, Semantics
from tests.journal import invariants
from tests.journal.book import (
    ANY_STEP,
    BLIND,
    BOOM,
    CLAIM_US,
    CONFIRMED,
    FAILED,
    IDEMPOTENT,
    IDEMPOTENT_LOOK_UP,
    LOOK_UP,
    OUTBOX,
    OUTBOX_BLIND,
    OUTBOX_SURE,
    READ,
    SURE,
    TTL_US,
    UNDO_UNKNOWN,
    UNDOABLE,
)
from tests.journal.family_moves import SITUATIONS, FamilyMoves
from tests.journal.machine import BOTH, CAPS, MAX_EFFECTS, MOSTLY, MOVES, NUMBERS, Fits, alive, move, running
from tests.journal.model import Asked, Run
from tests.journal.model_gates import No

POLICIES = [
    READ,
    replace(IDEMPOTENT, retries=1),
    IDEMPOTENT_LOOK_UP,
    BLIND,
    LOOK_UP,
    SURE,
    UNDO_UNKNOWN,
    replace(UNDO_UNKNOWN, undo_semantics=Semantics.NON_IDEMPOTENT),
    UNDOABLE,
    replace(UNDOABLE, undo_semantics=Semantics.NON_IDEMPOTENT, undo_look_up=True, authoritative=True),
    replace(UNDOABLE, undo_auto=False),
    OUTBOX,
    OUTBOX_BLIND,
    OUTBOX_SURE,
]
CALLS = [
    *((policy, True) for policy in POLICIES),
    *((policy, False) for policy in POLICIES if policy.dispatch == "outbox"),
    (replace(UNDOABLE, dispatch=Dispatch.OUTBOX), False),
    (replace(UNDO_UNKNOWN, dispatch=Dispatch.OUTBOX), False),
    (replace(UNDO_UNKNOWN, dispatch=Dispatch.OUTBOX, undo_auto=False), False),
]
"""What is called, and whether the run waits for its end."""
HANDFULS = [(), *((one,) for one in CALLS), *product(CALLS, CALLS)]
ANSWERS = [Answer.PRESENT, Answer.ABSENT, Answer.UNCLEAR, Answer.DUPLICATE, Answer.ABSENT, Answer.UNCLEAR]
COSTS = [None, None, 0, 50, 130]


def effect_like(fits: Callable[[Any], Any]) -> Fits:
    return lambda run: any(effect.open and fits(effect) for effect in run.effects)


def to_run_again(run: Run) -> bool:
    return running(run) and any(effect.step == "again" and not effect.outbox for effect in run.open())


def acts_on(run: Run) -> bool:
    return running(run) and len(run.effects) - run.inherited < MAX_EFFECTS


def between_bodies(run: Run) -> bool:
    return running(run) and not any(effect.body for effect in run.effects)


def ready_to_end(run: Run) -> bool:
    return running(run) and len(run.effects) > 1 and not run.open()


in_body = effect_like(lambda effect: effect.body)
for_person = effect_like(lambda effect: effect.step == "person")
claimed_at_all = effect_like(lambda effect: effect.claimed)
asked = effect_like(lambda effect: effect.claimed and effect.asking)
dispatching = effect_like(lambda effect: effect.claimed and not effect.asking)


def undoable_by_order(run: Run) -> bool:
    return alive(run) and any(effect.status == "CONFIRMED" and run.duties_of(effect) for effect in run.effects)


def duty_like(status: str) -> Fits:
    return lambda run: any(duty.status == status for duty in run.duties)


def claimable(run: Run) -> list[int]:
    return [
        effect.ordinal
        for effect in [*run.open(), *run.left()]
        if not effect.claimed
        and (effect.asking or (effect.outbox and effect.step == "again"))
        and (effect.outbox or run.status != "RUNNING")
    ]


class Journal(FamilyMoves):
    # --- rules: runs ---

    @move(lambda run: not alive(run), every=5)
    def another(self) -> None:
        if sum(alive(run) for run in self.runs.values()) < 2:
            self.start()

    @move(lambda run: run.status == "RUNNABLE", number=NUMBERS)
    def grant(self, number: int) -> None:
        self.drive(self.pick(number, lambda run: run.status == "RUNNABLE"))

    def drive(self, run_id: str) -> None:
        named = {"ttl_us": TTL_US, "concurrency": 1, "recovery": self.book.recovery}
        self.apply(run_id, Run.grant, runs.grant, run_id, self.book.worker(), **named)

    @move(lambda run: run.status == "RUNNABLE", every=3, number=NUMBERS, calls=HANDFULS)
    def take_up(self, number: int, calls: tuple[Any, ...]) -> None:
        """What recovery does: the back-off passes, then a grant; and what the agent does then."""
        run_id = self.pick(number, lambda run: run.status == "RUNNABLE")
        run = self.runs[run_id]
        if run.status == "RUNNABLE":
            self.wait(run.next_boot)
            self.drive(run_id)
        if running(self.runs[run_id]):
            for effect in self.runs[run_id].open():
                self.again(run_id, effect.ordinal)
            for call in calls:
                self.begun(run_id, self.call_of(run_id, call, COSTS[number % len(COSTS)]))

    def call_of(self, run_id: str, call: Any, cost: int | None) -> Asked:
        run, (policy, awaited) = self.runs[run_id], call
        return Asked(policy, awaited, cost, args=len(run.effects), quarantined=run.quarantine)

    def again(self, run_id: str, ordinal: int) -> None:
        run = self.runs[run_id]
        epoch, count, key = run.epoch, run.effects[ordinal].attempts + 1, self.key(run_id, ordinal)
        attempt = (effects.start_attempt, run_id, epoch, key, count)
        self.apply(run_id, lambda run: run.attempt(epoch, ordinal, count), *attempt)

    @move(running, number=NUMBERS, proven=BOTH)
    def die(self, number: int, proven: bool) -> None:
        run_id = self.pick(number, running)
        if self.runs[run_id].status == "RUNNING":
            worker = self.book.run(run_id)["worker_no"]
            died = (workers.worker_died, worker, "signal 9", self.book.recovery)
            self.apply(run_id, lambda run: run.lose(proven), *died, proven=proven)

    @move(running, every=3, number=NUMBERS, off=MOSTLY)
    def expire(self, number: int, off: int) -> None:
        run_id = self.pick(number, running)
        run = self.runs[run_id]
        lost = (effects.lose_lease_of, run_id, run.epoch + off, LeaseTrigger.EXPIRE, "late", self.book.recovery)
        if run.status == "RUNNING" and not off:
            self.apply(run_id, lambda run: run.lose(False), *lost, proven=False)
        else:
            assert self.book.do(*lost, proven=False) is False

    @move(between_bodies, every=3, number=NUMBERS, off=MOSTLY, kids=["open", "open", "all", "none"])
    def park(self, number: int, off: int, kids: str) -> None:
        """It waits for its timers and gates, and for its children, or for one that has ended meanwhile."""
        run_id = self.pick(number, between_bodies)
        run = self.runs[run_id]
        epoch = run.epoch + off
        children = [kid.ordinal for kid in run.kids if kids == "all" or (kids == "open" and alive(kid))]
        stale = kids == "all"  # it has not heard of what came meanwhile
        waits = [f"timer {ordinal}" for ordinal, (_, status) in enumerate(run.timers) if stale or status == "SET"]
        waits += [f"gate {gate.name} {gate.ordinal}" for gate in run.gates if stale or gate.status == "OPEN"]
        waits += [f"child {ordinal}" for ordinal in children]
        self.apply(
            run_id, lambda run: run.park(epoch, children, stale=stale), runs.park, run_id, epoch, waits, "parked"
        )

    @move(running, every=16, number=NUMBERS, off=MOSTLY)
    def diverge(self, number: int, off: int) -> None:
        run_id = self.pick(number, running)
        epoch = self.runs[run_id].epoch + off
        self.apply(run_id, lambda run: run.diverge(epoch), records.diverge, run_id, epoch, "different")

    @move(
        ready_to_end,
        number=NUMBERS,
        off=MOSTLY,
        outcome=["TERMINAL", "TERMINAL", "FAILED", "FAILED", "CANCELLED"],
    )
    def end_run(self, number: int, off: int, outcome: str) -> None:
        run_id = self.pick(number, ready_to_end)
        epoch = self.runs[run_id].epoch + off
        error = {"message": "no"} if outcome == "FAILED" else None
        self.apply(run_id, lambda run: run.end_run(epoch, outcome), runs.end_run, run_id, epoch, outcome, None, error)

    @move(alive, every=20, number=NUMBERS)
    def cancel(self, number: int) -> None:
        run_id = self.pick(number, alive)
        self.apply(run_id, Run.cancel, runs.cancel, run_id)

    @move(lambda run: run.status == "STUCK", number=NUMBERS)
    def redrive(self, number: int) -> None:
        run_id = self.pick(number, lambda run: run.status == "STUCK")
        self.apply(run_id, Run.redrive, runs.redrive, run_id)

    # --- rules: records ---

    @move(running, every=3, number=NUMBERS, off=MOSTLY, index_off=MOSTLY)
    def decide(self, number: int, off: int, index_off: int) -> None:
        run_id = self.pick(number, running)
        run = self.runs[run_id]
        epoch, index = run.epoch + off, run.decisions + index_off
        decision = Decision(index=index, name="ask", fingerprint="f", request=None, reply=number)
        usage = records.Usage(number, 1, number * 7)
        bill = (number + 1, number * 7)
        self.apply(
            run_id, lambda run: run.decide(epoch, index, bill), records.record_decision, run_id, epoch, decision, usage
        )

    @move(running, every=2, number=NUMBERS, off=MOSTLY, tokens=[None, 0, 15, 60], usd=[None, 0, 5, 90])
    def ask(self, number: int, off: int, tokens: int | None, usd: int | None) -> None:
        """Before a decision, or again after its reply was lost."""
        run_id = self.pick(number, running)
        run = self.runs[run_id]
        epoch, index = run.epoch + off, run.decisions + (number == 7)
        asked = (records.ask_model, run_id, epoch, index, "ask", Limits(tokens, usd))
        self.apply(run_id, lambda run: run.ask(epoch, index, tokens, usd), *asked)

    @move(running, every=7, number=NUMBERS, off=MOSTLY, caps=CAPS)
    def attach(self, number: int, off: int, caps: dict[str, int]) -> None:
        run_id = self.pick(number, running)
        epoch = self.runs[run_id].epoch + off
        self.apply(run_id, lambda run: run.declare(epoch, caps), records.attach, run_id, epoch, [], caps)

    @move(alive, every=6, number=NUMBERS, unit=["tokens", "usd_micro", "calls:tool"], more=[-1, 0, 1, 40, 200])
    def set_cap(self, number: int, unit: str, more: int) -> None:
        """A person's, near what is used up already."""
        run_id = self.pick(number, alive)
        row = self.book.row(
            "SELECT spent + reserved FROM budget WHERE run_no = ? AND unit = ?", self.book.run(run_id)["no"], unit
        )
        cap = max(0, (row[0] if row else 0) + more)
        self.apply(run_id, lambda run: run.set_cap(unit, cap), set_caps, run_id, {unit: cap}, "ann", "looked")

    @move(running, every=3, number=NUMBERS, off=MOSTLY, seconds=range(21))
    def set_timer(self, number: int, off: int, seconds: int) -> None:
        run_id = self.pick(number, running)
        run = self.runs[run_id]
        if len(run.timers) < 3:
            epoch, ordinal = run.epoch + off, len(run.timers)
            self.apply(
                run_id,
                lambda run: run.set_timer(epoch, ordinal, seconds),
                *(records.set_timer, run_id, epoch, ordinal, float(seconds), "f"),
            )

    @move(lambda run: any(status == "SET" for _, status in run.timers), number=NUMBERS)
    def fire_timer(self, number: int) -> None:
        run_id = self.pick(number, lambda run: any(status == "SET" for _, status in run.timers))
        ordinal = number % 2
        if number % 5 and ordinal < len(self.runs[run_id].timers):
            self.wait_wall(self.runs[run_id].timers[ordinal][0])
        run_no = self.book.run(run_id)["no"]
        self.apply(run_id, lambda run: run.fire_timer(ordinal), records.fire_timer, run_no, ordinal)

    @move(lambda run: True, every=3, idle=True, seconds=[0.1, 1, 1, 3, 10, 31])
    def time_passes(self, seconds: float) -> None:
        self.book.clock.advance(seconds)

    @move(lambda run: True, every=7, hours=[-25.0, -1.0, -0.001, 0.001, 1.0, 25.0])
    def wall_clock_jumps(self, hours: float) -> None:
        """Somebody sets the machine's clock: timers look at it, leases, claims and back-offs do not."""
        self.book.clock.wall += int(hours * 3_600_000_000)

    @move(lambda run: run.epoch > 0, every=4)
    def same_again(self) -> None:
        """The latest verb arrives a second time. Deaths and expiries are noticed by several: see `die`, `expire`."""
        noticed = (workers.worker_died, effects.lose_lease_of)
        if self.sent is not None and self.sent[2] not in noticed:
            run_id, expect, verb, args, named = self.sent
            self.apply(run_id, expect, verb, *args, **named)

    # --- rules: effects ---

    @move(
        acts_on,
        number=NUMBERS,
        off=MOSTLY,
        call=CALLS,
        cost=COSTS,
    )
    def begin(self, number: int, off: int, call: Any, cost: int | None) -> None:
        run_id = self.pick(number, acts_on)
        asked = self.call_of(run_id, call, cost)
        if number % 30 == 0:  # as if it were in quarantine, or were not
            asked = replace(asked, quarantined=not asked.quarantined)
        self.begun(run_id, asked, off)

    @move(
        to_run_again,
        number=NUMBERS,
        off=MOSTLY,
        again_off=MOSTLY,
    )
    def attempt(self, number: int, off: int, again_off: int) -> None:
        run_id = self.pick(number, to_run_again)
        run = self.runs[run_id]
        ordinal = self.some(number, [e.ordinal for e in run.open() if e.step == "again"], len(run.effects))
        count = run.effects[ordinal].attempts + 1 + again_off if ordinal < len(run.effects) else 1
        epoch, key = run.epoch + off, self.key(run_id, ordinal)
        self.apply(
            run_id,
            lambda run: run.attempt(epoch, ordinal, count),
            *(effects.start_attempt, run_id, epoch, key, count),
        )

    @move(
        in_body,
        number=NUMBERS,
        off=MOSTLY,
        how=["returned", "failed", "rejected"],
        again_off=MOSTLY,
        bill=[None, None, (3, 20), (0, 0), (1, 200)],
    )
    def end_body(self, number: int, off: int, how: str, again_off: int, bill: tuple[int, int] | None) -> None:
        run_id = self.pick(number, in_body)
        run = self.runs[run_id]
        ordinal = self.some(number, [e.ordinal for e in run.effects if e.body], len(run.effects))
        count = run.effects[ordinal].attempts + again_off if ordinal < len(run.effects) else 1
        epoch, key, recovery = run.epoch + off, self.key(run_id, ordinal), self.book.recovery
        usage = None if bill is None else records.Usage(bill[0], 0, bill[1])
        verb: tuple[Any, ...] = {
            "returned": (effects.end_effect, run_id, epoch, key, count, CONFIRMED, usage),
            "failed": (effects.fail_attempt, run_id, epoch, key, count, "raised", BOOM, recovery, usage),
            "rejected": (effects.reject_attempt, run_id, epoch, key, count, BOOM, recovery, usage),
        }[how]
        self.apply(run_id, lambda run: getattr(run, how)(epoch, ordinal, count, bill), *verb)

    @move(lambda run: run.epoch > 1 and bool(run.effects), every=5, number=NUMBERS, confirmed=BOTH)
    def zombie_ends_body(self, number: int, confirmed: bool) -> None:
        """A body's outcome under a lease that is over: refused, kept as evidence, a conflict if it contradicts."""
        run_id = self.pick(number, lambda run: run.epoch > 1 and bool(run.effects))
        run = self.runs[run_id]
        if run.effects:
            ordinal, epoch = number % len(run.effects), run.epoch - 1
            key, ending = self.key(run_id, ordinal), CONFIRMED if confirmed else FAILED
            self.book.refused(effects.end_effect, run_id, epoch, key, 1, ending, None, by=Fenced)
            evidence = (claims.note_fenced_end, run_id, None, epoch, key, ending)
            self.apply(run_id, lambda run: run.late_end(ordinal, confirmed), *evidence)

    @move(lambda run: any(effect.claim for effect in run.effects), every=5, number=NUMBERS, confirmed=BOTH)
    def zombie_ends_dispatch(self, number: int, confirmed: bool) -> None:
        """The same for a dispatch under a claim that is over."""
        run_id = self.pick(number, lambda run: any(effect.claim for effect in run.effects))
        ordinals = [ordinal for ordinal, effect in enumerate(self.runs[run_id].effects) if effect.claim]
        if ordinals:
            ordinal = ordinals[number % len(ordinals)]
            effect, ending = self.runs[run_id].effects[ordinal], CONFIRMED if confirmed else FAILED
            claim = Claim(run_id, self.key(run_id, ordinal), "reactor", effect.claim - effect.claimed, effect.attempts)
            self.book.refused(claims.end_dispatch, claim, ending)
            evidence = (claims.note_late_dispatch, claim, ending)
            self.apply(run_id, lambda run: run.late_end(ordinal, confirmed), *evidence)

    # --- rules: reactors and persons on effects ---

    @move(lambda run: claimable(run), number=NUMBERS, odd=range(20), wait=range(5))
    def claim(self, number: int, odd: int, wait: int) -> None:
        run_id = self.pick(number, claimable)
        run = self.runs[run_id]
        ordinal = self.some(number, claimable(run), len(run.effects))
        body = odd == 0
        if ordinal < len(run.effects):
            body = (run.effects[ordinal].step == "again") != body
            if wait:
                self.wait(run.effects[ordinal].due)
        named = {"what": "body" if body else "look-up", "claim_us": CLAIM_US, "worker_no": None}
        self.apply(
            run_id,
            lambda run: run.claim_body(ordinal) if body else run.claim_look_up(ordinal),
            *(claims.claim_effect, run_id, self.key(run_id, ordinal), ANY_STEP, "reactor"),
            **named,
        )

    def claimed(self, number: int, off: int, asking: bool | None = None) -> tuple[str, int, Claim]:
        def fits(effect: Any) -> bool:
            return effect.claimed and asking in (None, effect.asking)

        run_id = self.pick(number, effect_like(fits))
        run = self.runs[run_id]
        ordinal = self.some(number, [e.ordinal for e in [*run.open(), *run.left()] if fits(e)], len(run.effects))
        effect = run.effects[ordinal] if ordinal < len(run.effects) else None
        epoch = (effect.claim if effect else 1) + off
        last = self.book.row(
            "SELECT max(number) FROM attempt WHERE key = ? AND what = ?",
            self.key(run_id, ordinal),
            "look-up" if effect and effect.asking else "body",
        )[0]
        return run_id, ordinal, Claim(run_id, self.key(run_id, ordinal), "reactor", epoch, last or 1)

    @move(asked, number=NUMBERS, off=MOSTLY, answer=ANSWERS)
    def observe(self, number: int, off: int, answer: Answer) -> None:
        run_id, ordinal, claim = self.claimed(number, off, asking=True)
        acts = {Answer.PRESENT: [{"id": 1}], Answer.DUPLICATE: [{"id": 1}, {"id": 2}]}.get(answer, [])
        self.apply(
            run_id,
            lambda run: run.observe(ordinal, claim.epoch, str(answer)),
            *(claims.record_observation, claim, answer, acts, ""),
        )

    @move(asked, number=NUMBERS, off=MOSTLY)
    def lose_look_up(self, number: int, off: int) -> None:
        run_id, ordinal, claim = self.claimed(number, off, asking=True)
        lost = (claims.lose_look_up, claim, "died", self.book.recovery)
        self.apply(run_id, lambda run: run.lose_look_up(ordinal, claim.epoch), *lost)

    @move(
        dispatching,
        number=NUMBERS,
        off=MOSTLY,
        how=["returned", "rejected", "raised", "died", "died"],
        over=BOTH,
    )
    def dispatched(self, number: int, off: int, how: str, over: bool) -> None:
        run_id, ordinal, claim = self.claimed(number, off, asking=False)
        recovery, named = self.book.recovery, {}
        if how == "returned":
            verb: tuple[Any, ...] = (claims.end_dispatch, claim, CONFIRMED)
        elif how == "rejected":
            verb = (claims.reject_dispatch, claim, FAILED.error, recovery)
        else:
            verb = (claims.lose_dispatch, claim, how, None, recovery)
            named = {"body_over": over, "died": how == "died"}
        self.apply(run_id, lambda run: run.dispatched(ordinal, claim.epoch, how, over), *verb, **named)

    @move(claimed_at_all, number=NUMBERS, off=MOSTLY, over=BOTH)
    def void(self, number: int, off: int, over: bool) -> None:
        run_id, ordinal, claim = self.claimed(number, off)
        self.apply(
            run_id,
            lambda run: run.void(ordinal, claim.epoch, over),
            *(claims.void_claim, run_id, claim.key, claim.epoch, "gone", self.book.recovery),
            proven=over,
        )

    @move(for_person, number=NUMBERS, how=["confirm", "fail", "retry", "retry"])
    def resolve(self, number: int, how: str) -> None:
        run_id = self.pick(number, for_person)
        run = self.runs[run_id]
        ordinal = self.some(
            number, [e.ordinal for e in [*run.open(), *run.left()] if e.step == "person"], len(run.effects)
        )
        self.apply(
            run_id,
            lambda run: run.resolve(ordinal, how),
            *(claims.resolve_effect, run_id, self.key(run_id, ordinal), how, {"by": "hand"}, "looked"),
        )

    @move(undoable_by_order, every=4, number=NUMBERS)
    def undo(self, number: int) -> None:
        run_id = self.pick(number, undoable_by_order)
        run = self.runs[run_id]
        fitting = [effect.ordinal for effect in run.effects if effect.status == "CONFIRMED" and run.duties_of(effect)]
        ordinal = self.some(number, fitting, len(run.effects))
        order = (persons.undo_effect, run_id, self.key(run_id, ordinal), "wrong")
        self.apply(run_id, lambda run: run.undo(ordinal), *order)

    # --- rules: duties ---

    def duty(self, number: int, status: str) -> tuple[str, int, str]:
        run_id = self.pick(number, duty_like(status))
        duties = self.runs[run_id].duties
        index = self.some(number, [at for at, duty in enumerate(duties) if duty.status == status], len(duties))
        return run_id, index, self.duty_key(run_id, index)

    @move(duty_like("DUE"), number=NUMBERS)
    def claim_duty(self, number: int) -> None:
        run_id, index, key = self.duty(number, "DUE")
        duties = self.runs[run_id].duties
        if index < len(duties) and number % 4:
            self.wait(duties[index].due)
        self.apply(
            run_id,
            lambda run: run.claim_duty(index),
            *(obligations.claim_duty, run_id, key, "undoer"),
            claim_us=CLAIM_US,
            worker_no=None,
        )

    def held(self, number: int, off: int) -> tuple[str, int, Claim]:
        run_id, index, key = self.duty(number, "CLAIMED")
        duties = self.runs[run_id].duties
        duty = duties[index] if index < len(duties) else None
        what = "undo" if duty is None or duty.step == "again" else "look-up"
        last = self.book.row("SELECT max(number) FROM attempt WHERE key = ? AND what = ?", key, what)[0]
        return run_id, index, Claim(run_id, key, "undoer", (duty.claim if duty else 1) + off, last or 1)

    @move(duty_like("CLAIMED"), number=NUMBERS, off=MOSTLY)
    def fulfil(self, number: int, off: int) -> None:
        run_id, index, claim = self.held(number, off)
        self.apply(run_id, lambda run: run.fulfil(index, claim.epoch), obligations.fulfil_duty, claim)

    @move(lambda run: any(duty.claim for duty in run.duties), every=5, number=NUMBERS)
    def zombie_undoes(self, number: int) -> None:
        """An undo's outcome under a claim that is over: refused, kept as evidence, a conflict if it contradicts."""
        run_id = self.pick(number, lambda run: any(duty.claim for duty in run.duties))
        indexes = [index for index, duty in enumerate(self.runs[run_id].duties) if duty.claim]
        if indexes:
            index = indexes[number % len(indexes)]
            duty = self.runs[run_id].duties[index]
            key = self.duty_key(run_id, index)
            claim = Claim(run_id, key, "undoer", duty.claim - (duty.status == "CLAIMED"), duty.attempts)
            self.book.refused(obligations.fulfil_duty, claim, by=Fenced)
            self.apply(run_id, lambda run: run.late_undo(index), obligations.note_late_undo, claim)

    @move(duty_like("CLAIMED"), number=NUMBERS, off=MOSTLY, over=BOTH)
    def fail_duty(self, number: int, off: int, over: bool) -> None:
        run_id, index, claim = self.held(number, off)
        self.apply(
            run_id,
            lambda run: run.fail_duty(index, claim.epoch, over),
            *(obligations.fail_duty, claim, "raised", BOOM, self.book.recovery),
            body_over=over,
        )

    @move(duty_like("CLAIMED"), number=NUMBERS, off=MOSTLY, answer=ANSWERS)
    def observe_duty(self, number: int, off: int, answer: Answer) -> None:
        run_id, index, claim = self.held(number, off)
        self.apply(
            run_id,
            lambda run: run.observe_duty(index, claim.epoch, str(answer)),
            *(obligations.record_duty_observation, claim, answer, ""),
        )

    @move(duty_like("CLAIMED"), number=NUMBERS, off=MOSTLY, over=BOTH)
    def void_duty(self, number: int, off: int, over: bool) -> None:
        run_id, index, claim = self.held(number, off)
        self.apply(
            run_id,
            lambda run: run.void_duty(index, claim.epoch, over),
            *(obligations.void_duty_claim, run_id, claim.key, claim.epoch, "gone", self.book.recovery),
            proven=over,
        )

    @move(duty_like("STUCK"), number=NUMBERS, how=["confirm", "fail", "retry"])
    def resolve_duty(self, number: int, how: str) -> None:
        run_id, index, key = self.duty(number, "STUCK")
        self.apply(
            run_id,
            lambda run: run.resolve_duty(index, how),
            *(obligations.resolve_duty, run_id, key, how, "looked"),
        )

    # --- what must hold ---

    @invariant()
    def the_tables_say_what_the_model_says(self) -> None:
        for run_id, run in getattr(self, "runs", {}).items():
            row = self.book.run(run_id)
            agree(
                row,
                *(("status", run.status), ("epoch", run.epoch), ("seq", run.seq), ("decisions", run.decisions)),
                *(("crashes", run.crashes), ("cancel", run.cancelling), ("end_status", run.end)),
                ("lease_until_boot_us", run.lease_until),
                *(("children", run.children), ("children_open", run.open_kids), ("quarantine", run.quarantine)),
                *(("source_id", run.source), ("source_seq", run.fork_of)),
            )
            assert self.book.tape(run_id) == [record.kind for record in run.tape]
            if run.status == "RUNNABLE":
                agree(row, ("next_boot_us", run.next_boot))
            for effect in run.effects:
                mine = self.book.effect(self.key(run_id, effect.ordinal))
                agree(mine, ("status", effect.status), ("attempts", effect.attempts), ("step", effect.step))
                agree(mine, ("claim_epoch", effect.claim), ("claim_until_boot_us", effect.until))
                agree(mine, ("inherited", effect.inherited), ("awaited", effect.awaited))
                assert bool(mine["claim_by"]) == effect.claimed
                if effect.open:
                    agree(
                        mine,
                        *(("body_over", effect.over), ("clean", effect.clean), ("live_failures", effect.failures)),
                        *(("asks", effect.asks), ("hook_crashes", effect.deaths), ("next_boot_us", effect.due)),
                    )
            assert len(self.book.rows("SELECT 1 FROM obligation WHERE run_no = ?", row["no"])) == len(run.duties)
            for index, duty in enumerate(run.duties):
                mine = self.book.duty(self.duty_key(run_id, index))
                agree(mine, ("status", duty.status), ("attempts", duty.attempts), ("claim_epoch", duty.claim))
                agree(mine, ("position", duty.position), ("auto", duty.auto), ("ordered", duty.ordered))
                if duty.owed:
                    agree(mine, ("step", duty.step), ("next_boot_us", duty.due))
                    agree(mine, ("asks", duty.asks), ("hook_crashes", duty.deaths))
            budget = self.book.rows("SELECT * FROM budget WHERE run_no = ?", row["no"])
            assert {one["unit"] for one in budget} == set(run.purse.caps)
            for one in budget:
                unit = one["unit"]
                agree(one, ("cap", run.purse.caps[unit]), ("reserved", run.purse.reserved(unit)))
                agree(one, ("spent", run.purse.spent.get(unit, 0)), ("lost", run.purse.lost.get(unit, 0)))
            conflicts = self.book.rows("SELECT key, closed_us FROM conflict WHERE run_no = ?", row["no"])
            assert len(conflicts) == run.conflicts
            disputed = {one["key"] for one in conflicts if one["closed_us"] is None}
            assert disputed == {self.key(run_id, ordinal) for ordinal in run.disputed}
            told = self.book.rows("SELECT * FROM gate WHERE run_no = ?", row["no"])
            assert {(one["name"], one["ordinal"]) for one in told} == {gate.instance for gate in run.gates}
            for one in told:
                gate = run.gate(one["name"], one["ordinal"])
                assert gate is not None
                agree(one, ("status", gate.status), ("answer", gate.answer), ("deadline_us", gate.deadline))
                used_by = "" if gate.used_by is None else self.key(run_id, gate.used_by)
                agree(one, ("on_timeout", gate.on_timeout), ("used_by", used_by))
            timers = self.book.rows("SELECT status FROM timer WHERE run_no = ? ORDER BY ordinal", row["no"])
            assert [timer["status"] for timer in timers] == [status for _, status in run.timers]

    @invariant()
    def what_is_to_be_undone_now_may_be_claimed_and_nothing_else_is_listed(self) -> None:
        claimable: list[str] = []
        for run_id, run in getattr(self, "runs", {}).items():
            run.now = self.book.clock.boot_us()
            for index in range(len(run.duties)):
                with contextlib.suppress(No):
                    run.check_duty(index)
                    claimable.append(self.duty_key(run_id, index))
        if any(run.duties for run in getattr(self, "runs", {}).values()):
            now = {"now": self.book.clock.boot_us()}
            listed = [row["key"] for row in self.book.writer.connection.execute(_DUTIES, now)]
            assert sorted(listed) == sorted(claimable)

    @invariant()
    def the_contract_holds(self) -> None:
        if hasattr(self, "book"):
            invariants.check(self.book.writer.connection)
            finals = invariants.finals(self.book.writer.connection)
            assert self.finals <= finals, "an end state was left (I9)"
            self.finals = finals


def agree(row: Any, *expected: tuple[str, Any]) -> None:
    """The row's columns hold what the model says."""
    found = {name: row[name] for name, _ in expected}
    assert found == dict(expected), f"the journal has {found}, the model {dict(expected)}"


LEAST_STEPS = 20_000
"""In an ordinary run: the machine's and the walks' together."""
WALKS, JOURNALS, MOVES_EACH = 14, 8, 100
SEED = int(os.environ["TAPE_TEST_SEED"]) if os.environ.get("TAPE_TEST_SEED") else None
ALWAYS = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": SEED is None, "database": None}
settings.register_profile("journal-quick", max_examples=300, stateful_step_count=50, **ALWAYS)
settings.register_profile("journal-thorough", max_examples=20_000, stateful_step_count=80, **ALWAYS)
PROFILE = os.environ.get("TAPE_TEST_PROFILE", "journal-quick")


@pytest.mark.slow
@pytest.mark.timeout(0 if PROFILE == "journal-thorough" else 900)
def test_machine() -> None:
    """A search for small examples."""
    Journal.steps.clear()
    Journal.verbs.clear()
    machine = Journal if SEED is None else seeded(SEED)(Journal)
    run_state_machine_as_test(machine, settings=settings.get_profile(PROFILE))
    print(f"{Journal.steps.total()} steps, verbs {dict(Journal.verbs)}, rules {dict(Journal.steps)}")
    assert Journal.steps.total() + WALKS * JOURNALS * MOVES_EACH >= LEAST_STEPS
    applied, every = set(Journal.steps), {method.__name__ for _, method, _ in MOVES}
    for seed in range(WALKS):  # a search for small examples may not get as far as the rarest of them
        applied |= walk(seed) & every if applied != every else set()
    assert applied == every, "every rule is applied"
    assert all(Journal.verbs[how] >= LEAST_STEPS // 10 for how in ("accepted", "refused")), "and many do something"


WEIGHTS = {
    "die": 0.4, "void": 0.4, "redrive": 0.4, "lose_look_up": 0.6, "end_body": 3.0, "end_run": 3.0,
}  # fmt: skip


@pytest.mark.parametrize("seed", range(WALKS if PROFILE == "journal-quick" else 400))
def test_walk(seed: int) -> None:
    """The same moves drawn evenly: they get further into a run's life than a search for small examples does."""
    assert len(walk(seed) - {*SITUATIONS}) > len(MOVES) // 2


def test_walks_get_there() -> None:
    """Rules that are applied may still all be refused: what they are about must come to pass."""
    missing = {*SITUATIONS}
    for seed in range(WALKS):
        missing -= walk(seed) if missing else set()
    assert not missing


@functools.cache
def walk(seed: int) -> set[str]:
    """Returns the names of the rules that were applied, and of the situations that were come to."""
    applied: set[str] = set()
    chance = random.Random(seed if SEED is None else f"{SEED}/{seed}")
    for _ in range(JOURNALS):
        walker = Journal()
        done: list[str] = []
        try:
            walker.open()
            for _ in range(MOVES_EACH):
                enabled = [one for one in MOVES if one[0](walker)]
                weights = [WEIGHTS.get(method.__name__, 1.0) for _, method, _ in enabled]
                _, method, choices = chance.choices(enabled, weights)[0]
                args = {name: chance.choice(values) for name, values in choices.items()}
                done.append(f"{method.__name__} {args}")
                applied.add(method.__name__)
                method(walker, **args)
                walker.the_tables_say_what_the_model_says()
                walker.what_is_to_be_undone_now_may_be_claimed_and_nothing_else_is_listed()
                walker.the_contract_holds()
                applied |= {name for name, sql in SITUATIONS.items() if name not in applied and walker.book.row(sql)}
        except BaseException:
            print("\n".join(done))
            raise
        finally:
            walker.teardown()
    return applied
