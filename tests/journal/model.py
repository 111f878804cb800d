"""A pure model of what the journal's verbs promise: contract.md sections 3 and 4 retold without a database.

It decides by itself whether a verb is accepted, and what the state is after it. It shares no code with the journal.
Gates stand in `model_gates`, forks in `model_forks`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tape.core.journal.effects import ToolPolicy
from tests.journal.model_gates import Gated, Record, need
from tests.kernel.oracle import contract

SECOND = 1_000_000
TTL, CLAIM = 15 * SECOND, 30 * SECOND
OUTSIDE = {"ask", "ask_later", "compensate", "person"}
ENDS = {"TERMINAL", "FAILED", "CANCELLED"}
MAX_ASKS, POISON, MAX_FAILURES = 6, 5, 5
DEEPEST = 16


def backoff(failures: int, first: int = SECOND, cap: int = 60 * SECOND) -> int:
    return 0 if failures <= 0 else min(cap, first * 2 ** (failures - 1))


def ask_backoff(asks: int) -> int:
    return backoff(asks, SECOND // 5, 5 * SECOND)


@dataclass
class Settled:
    """What an effect and a duty have in common."""

    semantics: str
    look_up: bool
    authoritative: bool
    settle: int
    on_unknown: str = "ask"
    step: str = ""
    attempts: int = 0
    over: bool = True
    quiet: int = 0
    asked: int = 0
    asks: int = 0
    due: int = 0
    deaths: int = 0
    claim: int = 0
    claimed: bool = False
    until: int = 0

    def rule(self, answer: str, asks: int) -> tuple[str, str]:
        return contract(
            semantics=self.semantics,
            look_up=self.look_up,
            answer=answer,
            authoritative=self.authoritative,
            settled=self.asked >= self.quiet + self.settle,
            body_over=self.over,
            asks_left=asks < MAX_ASKS,
            on_unknown=self.on_unknown,
        )

    def lost(self, now: int, over: bool) -> str:
        """The attempt's outcome is unknown; returns the table's step."""
        self.over, self.quiet, self.asks, self.due = over, now, 0, 0
        self.free()
        self.step = self.rule("none", 0)[1]
        return self.step

    def answered(self, now: int, answer: str) -> tuple[str, str]:
        row, step = self.rule(answer, self.asks + 1)
        self.due = 0
        if row == "N-settling":
            self.due = self.quiet + self.settle
        else:
            self.asks += 1
            if step == "ask_later":
                self.due = now + ask_backoff(self.asks)
        self.deaths = max(0, self.deaths - 1)
        self.step = step
        self.free()
        return row, step

    def free(self) -> None:
        self.claimed, self.until = False, 0

    def hold(self, now: int) -> None:
        self.claim, self.claimed, self.until, self.deaths = self.claim + 1, True, now + CLAIM, self.deaths + 1

    @property
    def asking(self) -> bool:
        return self.step in ("ask", "ask_later")


@dataclass
class Effect(Settled):
    ordinal: int = 0
    policy: ToolPolicy = field(default_factory=ToolPolicy)
    awaited: bool = True
    status: str = "PENDING"
    clean: bool = True
    failures: int = 0
    cost: int | None = None
    tool: str = "tool"
    inherited: bool = False

    @property
    def open(self) -> bool:
        return self.status in ("PENDING", "UNKNOWN")

    @property
    def outbox(self) -> bool:
        return self.policy.dispatch == "outbox"

    @property
    def body(self) -> bool:
        """A body that an agent is in."""
        return self.open and not self.outbox and self.step == ""

    @property
    def outside(self) -> bool:
        return self.open and self.awaited and (self.outbox or self.step in OUTSIDE)

    @property
    def left(self) -> bool:
        """Open, and nobody waits for it."""
        return self.open and not self.awaited


@dataclass
class Duty(Settled):
    effect: int = 0
    number: int = 1
    position: int = 0
    auto: bool = True
    surplus: bool = False
    ordered: bool = False
    status: str = "ARMED"

    @property
    def owed(self) -> bool:
        return self.status in ("DUE", "CLAIMED", "STUCK")


Place = tuple[str, object]
"""Which run's ask or effect something is held back for."""


@dataclass
class Purse:
    """What a run and its descendants may spend, hold back (by place and unit), have spent and lost, by unit."""

    caps: dict[str, int | None] = field(default_factory=lambda: {"tokens": None, "usd_micro": None})
    held: dict[Place, dict[str, int]] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)

    def reserved(self, unit: str) -> int:
        return sum(held.get(unit, 0) for held in self.held.values())

    def left(self, unit: str) -> int:
        return (self.caps[unit] or 0) - self.spent.get(unit, 0) - self.reserved(unit)

    def pay(self, place: Place, bill: dict[str, int], *, goes_on: bool, lost: bool) -> None:
        kept = self.held.pop(place, {})
        for unit, amount in bill.items():
            if unit in self.caps:
                self.spent[unit] = self.spent.get(unit, 0) + amount
                self.lost[unit] = self.lost.get(unit, 0) + (amount if lost else 0)
        if goes_on:
            self.held[place] = {unit: amount - min(amount, bill.get(unit, 0)) for unit, amount in kept.items()}

    def copy(self) -> Purse:
        held = {place: dict(amounts) for place, amounts in self.held.items()}
        return Purse(dict(self.caps), held, dict(self.spent), dict(self.lost))


Bill = tuple[int, int] | None
"""Tokens and millionths of a dollar that were reported."""
CALLS = "calls:"


@dataclass(frozen=True)
class Asked:
    """A call as the agent asks for it; `args` is the number that it is called with."""

    policy: ToolPolicy
    awaited: bool = True
    cost: int | None = None
    tool: str = "tool"
    args: int = 0
    approval: tuple[str, int] | None = None
    quarantined: bool = False


@dataclass(eq=False)
class Run(Gated):
    """One run; `now` (monotonic) and `wall` are set by the caller before each verb. `busy`: it is cancelling its
    children, and decides by itself where it goes when one of them ends by that. `fork_of`: how many of its first
    records are another run's."""

    now: int = 0
    wall: int = 0
    id: str = ""
    status: str = "RUNNABLE"
    epoch: int = 0
    decisions: int = 0
    crashes: int = 0
    alone: bool = False
    lease_until: int = 0
    next_boot: int = 0
    cancelling: bool = False
    end: str | None = None
    effects: list[Effect] = field(default_factory=list)
    duties: list[Duty] = field(default_factory=list)
    timers: list[tuple[int, str]] = field(default_factory=list)
    conflicts: int = 0
    disputed: set[int] = field(default_factory=set)
    purse: Purse = field(default_factory=lambda: Purse())
    asks: int = 0
    caps_known: bool = False
    parent: Run | None = field(default=None, repr=False)
    ordinal: int = 0
    depth: int = 0
    kids: list[Run] = field(default_factory=list)
    children: int = 0
    busy: bool = False
    source: str | None = None
    fork_of: int = 0
    quarantine: bool = False
    promoted: bool = False

    # --- facts ---

    @property
    def seq(self) -> int:
        return len(self.tape)

    @property
    def inherited(self) -> int:
        return sum(effect.inherited for effect in self.effects)

    @property
    def open_kids(self) -> int:
        return sum(kid.status not in ENDS for kid in self.kids)

    def purses(self) -> list[Purse]:
        return [self.purse, *(self.parent.purses() if self.parent else [])]

    def family(self) -> list[Run]:
        """The run and its descendants."""
        return [self, *(one for kid in self.kids for one in kid.family())]

    def open(self) -> list[Effect]:
        """What the run waits for."""
        return [effect for effect in self.effects if effect.open and effect.awaited]

    def left(self) -> list[Effect]:
        return [effect for effect in self.effects if effect.left]

    def held(self) -> list[Duty]:
        """The duties that a run which has ended waits for."""
        well = self.end == "TERMINAL"
        return [
            duty
            for duty in self.duties
            if (duty.owed or (duty.status == "ARMED" and duty.auto and not well))
            and (not well or duty.ordered or self.effects[duty.effect].awaited)
        ]

    def duties_of(self, effect: Effect) -> list[Duty]:
        mine = [duty for duty in self.duties if duty.effect == effect.ordinal]
        return sorted(mine, key=lambda duty: duty.number)

    def leased(self, epoch: int) -> None:
        need(self.status == "RUNNING" and epoch == self.epoch and self.lease_until > self.now)

    def record(self, kind: str, ref: object = None, *, quarantined: bool = False, approval: object = None) -> None:
        self.tape.append(Record(kind, ref, quarantined, approval))
        self.crashes = 0

    # --- purses ---

    def hold(self, what: object, wants: dict[str, int | None]) -> bool:
        """In its own purse and its ancestors', all or nothing."""
        granted: dict[str, int] = {}
        for unit, want in wants.items():
            capped = [purse for purse in self.purses() if purse.caps.get(unit) is not None]
            if capped:
                asked = max(1, min(purse.left(unit) for purse in capped)) if want is None else want
                if any(asked > purse.left(unit) for purse in capped):
                    return False
                granted[unit] = asked
        for unit, amount in granted.items():
            for purse in self.purses():
                if unit in purse.caps:
                    purse.held.setdefault((self.id, what), {})[unit] = amount
        return True

    def pay(self, what: object, bill: dict[str, int], *, goes_on: bool = False, lost: bool = False) -> None:
        for purse in self.purses():
            purse.pay((self.id, what), bill, goes_on=goes_on, lost=lost)

    # --- runs ---

    def grant(self) -> None:
        need(self.status == "RUNNABLE" and self.next_boot <= self.now)
        assert not [effect for effect in self.open() if effect.outside], "I8"
        self.status, self.epoch, self.alone = "RUNNING", self.epoch + 1, self.crashes >= 2
        self.crashes += 1
        self.lease_until = self.now + TTL

    def lose(self, over: bool) -> None:
        need(self.status == "RUNNING")
        for effect in self.effects:
            if effect.body:
                self.doubt(effect, over)
        self.epoch += 1
        self.lease_until = 0
        if self.alone and self.crashes >= POISON and not (self.cancelling and not self.open()):
            self.status = "STUCK"
        else:
            self.next_boot = self.now + backoff(self.crashes - 1) if self.crashes >= 2 else 0
            self.settle()

    def park(self, epoch: int, children: list[int], *, stale: bool) -> None:
        """It waits for all its timers and gates, and for these children; `stale`: for those that are over, too."""
        self.leased(epoch)
        need(not any(effect.body for effect in self.effects))
        self.crashes = max(0, self.crashes - 1)
        self.lease_until = 0
        still = {kid.ordinal for kid in self.kids if kid.status not in ENDS}
        waits: list[object] = [at for at, status in self.timers if status == "SET"]
        waits += [gate for gate in self.gates if gate.status == "OPEN"]
        over = stale and len(waits) < len(self.timers) + len(self.gates)
        self.settle([*waits, *children] if still.issuperset(children) and not over else ())

    def diverge(self, epoch: int) -> None:
        self.leased(epoch)
        need(not any(effect.body for effect in self.effects))
        self.status, self.crashes, self.lease_until = "STUCK", 0, 0

    def settle(self, waits: Iterable[object] = ()) -> None:
        effects = self.open()
        if any(effect.step == "person" for effect in effects):
            self.status = "STUCK"
        elif any(effect.outside for effect in effects) or (list(waits) and not effects and not self.cancelling):
            self.status = "WAITING"
        elif self.cancelling and not effects:
            self.finish("CANCELLED")
        else:
            self.status = "RUNNABLE"
            self.next_boot = max([self.next_boot, *(effect.due for effect in effects)])

    def carry_on(self, effect: Effect) -> None:
        if effect.awaited:
            self.resettle()
        elif self.end is not None:
            self.undone()

    def resettle(self) -> None:
        if self.status == "WAITING":
            self.settle()

    def finish(self, outcome: str) -> None:
        self.pay("ask", self.purse.held.get((self.id, "ask"), {}), lost=True)
        self.record("run_ended")
        self.timers = [(at, "DROPPED" if status == "SET" else status) for at, status in self.timers]
        if outcome == "FAILED":
            for effect in self.left():
                armed = [duty for duty in self.duties_of(effect) if duty.auto and duty.status == "ARMED"]
                if not effect.attempts and armed:
                    self.close(effect, "FAILED")
        self.drop_gates()
        self.end = outcome
        for duty in self.duties:
            self.decide_duty(duty)
        self.cancel_kids()
        if self.held() or self.open_kids:
            self.status = "COMPENSATING"
            self.undone()
        else:
            self.over()

    def decide_duty(self, duty: Duty) -> None:
        if self.effects[duty.effect].open:
            return
        confirmed = self.effects[duty.effect].status == "CONFIRMED"
        if duty.status == "ARMED":
            duty.status = "DUE" if confirmed and duty.auto and self.end != "TERMINAL" else "DROPPED"
        elif duty.status == "STUCK" and self.end == "TERMINAL" and not (duty.surplus or duty.ordered):
            duty.status = "DROPPED"  # its row keeps what was last tried

    def undone(self) -> None:
        if self.status not in ("COMPENSATING", "STUCK"):
            return
        assert self.end is not None
        if any(duty.status == "STUCK" for duty in self.held()):
            self.status = "STUCK"
        elif self.held() or self.open_kids:
            self.status = "COMPENSATING"
        else:
            self.over()

    def over(self) -> None:
        """At its end, which its parent hears of."""
        assert self.end is not None
        self.status = self.end
        above = self.parent
        if above is None:
            return
        patient = above.crashes == 0
        if above.end is None:
            above.record("child_ended", self.ordinal)
        if above.busy:
            return
        if above.end is not None:
            above.undone()
        elif above.status == "WAITING":
            above.next_boot = max(above.next_boot, self.now + min(SECOND, above.open_kids * SECOND // 1000))
            above.resettle()
        elif above.status == "RUNNABLE" and not above.open_kids and patient:
            above.next_boot = min(above.next_boot, self.now)

    def end_run(self, epoch: int, outcome: str) -> None:
        self.leased(epoch)
        need(not self.open() and not (outcome == "TERMINAL" and self.open_kids))
        self.lease_until = 0
        self.finish(outcome)

    def cancel(self) -> None:
        need(self.end is None)
        self.take_back()

    def cancel_kids(self) -> None:
        self.busy = True
        for kid in reversed(self.kids):
            if kid.end is None and not kid.cancelling:
                kid.take_back()
        self.busy = False

    def take_back(self) -> None:
        for effect in self.left():
            if not effect.attempts:
                self.close(effect, "FAILED")
        self.cancelling, self.next_boot = True, 0
        self.cancel_kids()
        if self.status != "RUNNING":
            self.settle()

    def start_child(self, epoch: int, ordinal: int) -> Run:
        self.leased(epoch)
        need(not self.cancelling and ordinal == self.children and self.depth < DEEPEST)
        kid = Run(
            now=self.now, wall=self.wall, parent=self, ordinal=ordinal, depth=self.depth + 1, quarantine=self.quarantine
        )
        self.kids.append(kid)
        self.children += 1
        self.record("child_started", ordinal, quarantined=self.quarantine)
        return kid

    def redrive(self) -> None:
        need(self.status == "STUCK" and self.end is None)
        need(not any(effect.outside for effect in self.open()))
        self.crashes, self.next_boot = 0, 0
        self.settle()

    # --- records ---

    def ask(self, epoch: int, index: int, tokens: int | None, usd: int | None) -> None:
        self.leased(epoch)
        need(not self.cancelling and index == self.decisions)
        most = {"tokens": tokens, "usd_micro": usd}
        if self.asks:
            held = self.purse.held.get((self.id, "ask"), {})
            lost = {unit: held.get(unit) or amount or 0 for unit, amount in most.items()}
            if any(lost.values()):
                self.pay("ask", lost, lost=True)
        if self.hold("ask", most):
            self.asks += 1
        else:
            self.record("budget_refused")
            self.asks = 0

    def charged(self, place: object, bill: Bill, *, goes_on: bool = False, beside: bool = False) -> None:
        if bill is not None:
            if not beside:
                self.record("charge", place)
            self.pay(place, {"tokens": bill[0], "usd_micro": bill[1]}, goes_on=goes_on)

    def declare(self, epoch: int, caps: dict[str, int]) -> None:
        self.leased(epoch)
        if self.caps_known:
            return
        for unit, cap in caps.items():
            self.count_calls(unit)
            smaller = min(cap, cap if self.purse.caps[unit] is None else self.purse.caps[unit] or 0)
            self.purse.caps[unit] = max(smaller, self.purse.spent.get(unit, 0) + self.purse.reserved(unit))
        self.caps_known = True

    def set_cap(self, unit: str, cap: int) -> None:
        need(self.end is None)
        self.count_calls(unit)
        need(cap >= self.purse.spent.get(unit, 0) + self.purse.reserved(unit))
        self.purse.caps[unit] = cap

    def count_calls(self, unit: str) -> None:
        if unit not in self.purse.caps:
            self.purse.caps[unit] = None
            calls = [(run, effect) for run in self.family() for effect in run.effects if not effect.inherited]
            calls = [(run, effect) for run, effect in calls if CALLS + effect.tool == unit]
            self.purse.spent[unit] = sum(effect.status == "CONFIRMED" for _, effect in calls)
            for run, effect in calls:
                if effect.open:
                    self.purse.held.setdefault((run.id, effect.ordinal), {})[unit] = 1

    def decide(self, epoch: int, index: int, bill: Bill) -> None:
        self.leased(epoch)
        need(index == self.decisions)
        self.record("decision")
        self.charged("ask", bill)
        self.asks = 0
        self.decisions += 1

    def set_timer(self, epoch: int, ordinal: int, seconds: int) -> None:
        self.leased(epoch)
        need(not self.cancelling and ordinal == len(self.timers))
        self.record("timer_set", ordinal)
        self.timers.append((self.wall + seconds * SECOND, "SET"))

    def fire_timer(self, ordinal: int) -> None:
        need(ordinal < len(self.timers))
        at, status = self.timers[ordinal]
        need(at <= self.wall and status == "SET")
        self.timers[ordinal] = (at, "FIRED")
        self.record("timer_fired", ordinal)
        self.resettle()

    # --- effects ---

    def begin(self, epoch: int, ordinal: int, call: Asked) -> None:
        self.leased(epoch)
        need(self.quarantine == call.quarantined)
        need(not self.cancelling and ordinal == len(self.effects))
        policy, cost = call.policy, call.cost
        if not self.hold(ordinal, {CALLS + call.tool: 1} | ({} if cost is None else {"usd_micro": cost})):
            self.record("budget_refused")
            return
        self.approved(call.tool, call.args, call.approval, ordinal, needed=policy.needs_approval)
        self.record("effect_begun", ordinal, quarantined=self.quarantine, approval=call.approval)
        effect = Effect(
            str(policy.semantics),
            policy.look_up,
            policy.authoritative,
            policy.settle_us,
            str(policy.on_unknown),
            ordinal=len(self.effects),
            policy=policy,
            cost=cost,
            awaited=call.awaited,
            tool=call.tool,
        )
        self.effects.append(effect)
        if self.quarantine:
            self.close(effect, "CONFIRMED")
            return
        if effect.outbox:
            effect.step = "again"
        else:
            effect.attempts, effect.over = 1, False
        if policy.compensable:
            undo = (str(policy.undo_semantics), policy.undo_look_up, policy.authoritative, policy.settle_us)
            duty = Duty(*undo, step="again", effect=effect.ordinal, position=self.seq, auto=policy.undo_auto)
            self.duties.append(duty)

    def attempt(self, epoch: int, ordinal: int, number: int) -> None:
        self.leased(epoch)
        effect = self.one(ordinal)
        need(effect.step == "again" and not effect.outbox and number == effect.attempts + 1)
        effect.attempts, effect.over, effect.step = number, False, ""

    def late_end(self, ordinal: int, confirmed: bool) -> None:
        """The outcome that a fenced agent tells of: evidence, and a conflict if it contradicts what is final."""
        if confirmed and self.effects[ordinal].status == "FAILED":
            self.dispute(ordinal)

    def late_undo(self, index: int) -> None:
        """The same for an undo that a person has meanwhile said is not to be."""
        duty = self.duties[index]
        if duty.status == "DROPPED" and self.effects[duty.effect].status == "CONFIRMED":
            self.dispute(duty.effect)

    def dispute(self, ordinal: int) -> None:
        """A conflict, which stays open until a person has looked."""
        self.conflicts += 1
        self.disputed.add(ordinal)

    def close_conflict(self, ordinal: int) -> None:
        need(ordinal in self.disputed)
        self.disputed.remove(ordinal)

    def one(self, ordinal: int) -> Effect:
        need(ordinal < len(self.effects) and self.effects[ordinal].open)
        return self.effects[ordinal]

    def in_body(self, epoch: int, ordinal: int, number: int) -> Effect:
        self.leased(epoch)
        effect = self.one(ordinal)
        need(effect.body and number == effect.attempts)
        return effect

    def returned(self, epoch: int, ordinal: int, number: int, bill: Bill) -> None:
        self.close(self.in_body(epoch, ordinal, number), "CONFIRMED", bill)

    def failed(self, epoch: int, ordinal: int, number: int, bill: Bill) -> None:
        self.raised(self.in_body(epoch, ordinal, number), by_agent=True, bill=bill)

    def rejected(self, epoch: int, ordinal: int, number: int, bill: Bill) -> None:
        self.reject(self.in_body(epoch, ordinal, number), by_agent=True, bill=bill)

    def reject(self, effect: Effect, by_agent: bool, bill: Bill = None) -> None:
        if effect.clean or effect.semantics == "read_only":
            self.close(effect, "FAILED", bill)
        else:
            self.raised(effect, by_agent, bill=bill)

    def close(self, effect: Effect, status: str, bill: Bill = None) -> None:
        assert effect.open
        if effect.awaited:
            self.record("effect_ended", effect.ordinal)
        if bill is None and status == "CONFIRMED" and effect.cost is not None:
            bill = (0, effect.cost)
        self.charged(effect.ordinal, bill, goes_on=True, beside=not effect.awaited)
        self.pay(effect.ordinal, {CALLS + effect.tool: 1} if status == "CONFIRMED" else {})
        effect.status, effect.step, effect.over = status, "", True
        effect.free()
        if status == "FAILED":
            for duty in self.duties_of(effect):
                if duty.status in ("ARMED", "STUCK") and not duty.surplus:
                    duty.status, duty.step = "DROPPED", ""
        elif self.end is not None:
            for duty in self.duties_of(effect):
                self.decide_duty(duty)

    def doubt(
        self, effect: Effect, over: bool, instead: str | None = None, unknown: bool = False, pause: int = 0
    ) -> None:
        effect.lost(self.now, over)
        if instead:
            effect.step = instead
        if effect.step == "again" and pause:
            effect.due = self.now + pause
        if effect.semantics != "read_only":
            effect.clean = False
        if unknown or effect.step != "again":
            effect.status = "UNKNOWN"
        if effect.step == "compensate":
            self.owe_undo(effect)

    def raised(self, effect: Effect, by_agent: bool, over: bool = True, bill: Bill = None) -> None:
        failures = effect.failures + 1
        blind = effect.semantics == "non_idempotent"
        beyond = failures - (0 if blind else effect.policy.retries)
        if effect.semantics == "read_only" and beyond > 0:
            self.close(effect, "FAILED", bill)
            return
        self.charged(effect.ordinal, bill, goes_on=True)
        effect.failures, effect.deaths = failures, max(0, effect.deaths - 1)
        if not blind and beyond <= 0:
            self.doubt(effect, over, "again", pause=0 if by_agent else backoff(failures))
        else:
            self.doubt(effect, over, "person" if beyond > MAX_FAILURES else None, unknown=True, pause=backoff(beyond))

    def owe_undo(self, effect: Effect) -> None:
        duty = self.duties_of(effect)[-1]
        if duty.status in ("DROPPED", "DONE"):
            duty = self.another(duty, surplus=False)
        if duty.status in ("ARMED", "STUCK"):
            duty.status, duty.step, duty.deaths, duty.due, duty.asks = "DUE", "again", 0, 0, 0

    def another(self, like: Duty, surplus: bool) -> Duty:
        fresh = (like.semantics, like.look_up, like.authoritative, like.settle)
        number = len([duty for duty in self.duties if duty.effect == like.effect]) + 1
        duty = Duty(
            *fresh,
            step="again",
            effect=like.effect,
            number=number,
            position=like.position,
            auto=like.auto,
            surplus=surplus,
        )
        self.duties.append(duty)
        return duty

    # --- claims ---

    def claim_look_up(self, ordinal: int) -> None:
        effect = self.one(ordinal)
        need(self.status != "RUNNING" or effect.outbox)
        need(not effect.claimed and effect.asking and effect.due <= self.now)
        effect.hold(self.now)
        effect.asked = self.now

    def claim_body(self, ordinal: int) -> None:
        effect = self.one(ordinal)
        need(effect.outbox and not effect.claimed and effect.step == "again" and effect.due <= self.now)
        for other in self.effects:
            if other.open and other.outbox and other is not effect:
                need(other.ordinal > effect.ordinal or other.step in ("person", "compensate"))
                need(not (other.claimed and other.step == "again"))
        effect.hold(self.now)
        effect.attempts, effect.over = effect.attempts + 1, False

    def under(self, ordinal: int, claim: int, asking: bool) -> Effect:
        effect = self.one(ordinal)
        need(effect.claim == claim and effect.until > self.now and effect.asking == asking)
        return effect

    def observe(self, ordinal: int, claim: int, answer: str) -> None:
        effect = self.under(ordinal, claim, asking=True)
        row, step = effect.answered(self.now, answer)
        if step.startswith("confirm"):
            self.close(effect, "CONFIRMED")
            if step == "confirm_first" and effect.policy.compensable:
                self.another(self.duties_of(effect)[0], surplus=True).status = "DUE"
            elif step == "confirm_first":
                self.dispute(ordinal)
        else:
            if row == "N-absent":
                effect.clean = True
            if step == "again":
                effect.due = self.now + ask_backoff(effect.failures)
            elif step == "person":
                effect.status = "UNKNOWN"
        self.carry_on(effect)

    def look_up_died(self, effect: Effect) -> None:
        effect.free()
        effect.due = self.now + backoff(effect.deaths - 1)
        if effect.deaths >= POISON:
            effect.step, effect.status = "person", "UNKNOWN"
        self.carry_on(effect)

    def body_died(self, effect: Effect, over: bool) -> None:
        poison = "person" if effect.deaths >= POISON else None
        self.doubt(effect, over, poison, pause=backoff(effect.deaths - 1))
        self.carry_on(effect)

    def lose_look_up(self, ordinal: int, claim: int) -> None:
        self.look_up_died(self.under(ordinal, claim, asking=True))

    def dispatched(self, ordinal: int, claim: int, how: str, over: bool) -> None:
        effect = self.under(ordinal, claim, asking=False)
        if how == "returned":
            self.close(effect, "CONFIRMED")
        elif how == "rejected":
            self.reject(effect, by_agent=False)
        elif how == "raised":
            self.raised(effect, by_agent=False, over=over)
        else:
            self.body_died(effect, over)
        self.carry_on(effect)

    def void(self, ordinal: int, claim: int, over: bool) -> None:
        effect = self.one(ordinal)
        need(effect.claimed and effect.claim == claim)
        if effect.asking:
            self.look_up_died(effect)
        else:
            self.body_died(effect, over)

    def resolve(self, ordinal: int, how: str) -> None:
        effect = self.one(ordinal)
        idle = self.status == "STUCK" and effect.step == "again" and not effect.claimed and effect.awaited
        need(effect.step == "person" or idle)
        if how == "retry":
            effect.step, effect.asks, effect.due, effect.deaths, effect.failures = "again", 0, 0, 0, 0
            effect.over = True
        else:
            self.close(effect, "CONFIRMED" if how == "confirm" else "FAILED")
        if not effect.awaited:
            self.carry_on(effect)
        elif self.status in ("WAITING", "STUCK"):
            self.settle()

    # --- duties ---

    def undo(self, ordinal: int) -> None:
        """A person's order."""
        need(self.end is None and ordinal < len(self.effects) and self.effects[ordinal].status == "CONFIRMED")
        need(not self.effects[ordinal].inherited and not self.quarantine)
        own = [duty for duty in self.duties_of(self.effects[ordinal]) if not duty.surplus]
        need(own and own[-1].status == "ARMED")
        own[-1].status, own[-1].ordered = "DUE", True

    def check_duty(self, index: int) -> None:
        """It may be worked on now."""
        need(index < len(self.duties))
        duty = self.duties[index]
        need(not (self.end is not None and self.open_kids))
        need(not (self.status == "RUNNING" and self.open()))
        siblings = self.open() + (self.left() if self.end in ("FAILED", "CANCELLED") else [])
        waiting = any(effect.step == "compensate" for effect in siblings)
        need(all(effect.step == "compensate" or (waiting and self.runs_again(effect)) for effect in siblings))
        owed = [other for other in self.duties if other.owed]
        need(owed and max(owed, key=lambda other: (other.position, other.number)) is duty)
        need(all(other.status != "CLAIMED" for other in owed))
        need(duty.status == "DUE" and duty.due <= self.now)

    def claim_duty(self, index: int) -> None:
        self.check_duty(index)
        duty = self.duties[index]
        duty.hold(self.now)
        duty.status = "CLAIMED"
        if duty.step == "again":
            duty.attempts, duty.over = duty.attempts + 1, False
        else:
            duty.asked = self.now

    def holding(self, index: int, claim: int, asking: bool) -> Duty:
        need(index < len(self.duties))
        duty = self.duties[index]
        need(duty.status == "CLAIMED" and duty.claim == claim and duty.until > self.now)
        need((duty.step != "again") == asking)
        return duty

    def fulfil(self, index: int, claim: int) -> None:
        self.done(self.holding(index, claim, asking=False))

    @staticmethod
    def runs_again(effect: Effect) -> bool:
        """On the next drive, which comes after the undo."""
        return effect.step == "again" and not effect.outbox

    def done(self, duty: Duty, by_person: bool = False) -> None:
        duty.status, duty.step, duty.over = "DONE", "", True
        duty.free()
        effect = self.effects[duty.effect]
        if effect.open:
            self.close(effect, "FAILED")
        self.go_on(by_person)

    def go_on(self, by_person: bool = False) -> None:
        if self.end is not None:
            self.undone()
        elif by_person and self.status == "STUCK":
            self.settle()
        else:
            self.resettle()

    def fail_duty(self, index: int, claim: int, over: bool) -> None:
        self.undo_lost(self.holding(index, claim, asking=False), over)

    def undo_lost(self, duty: Duty, over: bool) -> None:
        step = duty.lost(self.now, over)
        duty.due = self.now + backoff(duty.deaths)
        duty.status = "DUE"
        if step == "person" or duty.deaths >= POISON:
            self.stick(duty)

    def stick(self, duty: Duty) -> None:
        duty.status, duty.step = "STUCK", "person"
        effect = self.effects[duty.effect]
        if effect.open:
            effect.step = "person"
        self.go_on()

    def observe_duty(self, index: int, claim: int, answer: str) -> None:
        duty = self.holding(index, claim, asking=True)
        _, step = duty.answered(self.now, answer)
        duty.status = "DUE"
        if step.startswith("confirm"):
            self.done(duty)
        elif step == "person":
            self.stick(duty)

    def void_duty(self, index: int, claim: int, over: bool) -> None:
        need(index < len(self.duties))
        duty = self.duties[index]
        need(duty.status == "CLAIMED" and duty.claim == claim)
        if duty.step == "again":
            self.undo_lost(duty, over)
            return
        duty.free()
        duty.due, duty.status = self.now + backoff(duty.deaths), "DUE"
        if duty.deaths >= POISON:
            self.stick(duty)

    def resolve_duty(self, index: int, how: str) -> None:
        need(index < len(self.duties))
        duty = self.duties[index]
        effect = self.effects[duty.effect]
        need(duty.status == "STUCK" and not (effect.open and effect.step != "person"))
        if how == "confirm":
            self.done(duty, by_person=True)
            return
        if how == "fail":
            duty.status, duty.step = "DROPPED", ""
        else:
            duty.status, duty.step, duty.deaths, duty.due, duty.asks, duty.over = "DUE", "again", 0, 0, 0, True
            if effect.open:
                effect.step = "compensate"
        self.go_on(by_person=True)

    def copied(self) -> dict[str, Run]:
        """Its whole family by id, for trying a verb that may be refused half way."""
        oldest = self
        while oldest.parent is not None:
            oldest = oldest.parent
        return {run.id: run for run in oldest.copy(None).family()}

    def copy(self, parent: Run | None) -> Run:
        mine = replace(
            self,
            parent=parent,
            effects=[replace(effect) for effect in self.effects],
            duties=[replace(duty) for duty in self.duties],
            timers=list(self.timers),
            gates=[replace(gate) for gate in self.gates],
            tape=list(self.tape),
            disputed=set(self.disputed),
            purse=self.purse.copy(),
        )
        mine.kids = [kid.copy(mine) for kid in self.kids]
        return mine
