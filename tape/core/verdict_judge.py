"""The judge: follows each death of a run, entry by entry, to where the run has gone on. Pure.

A death is a kill, a drain, a freeze or a lost reply that was ordered or armed, or a lease that ended by itself.
Step mode (a point where the agent only waits) is none; a death that this release does not know neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tape.core.kernel import events
from tape.core.kernel.events import Entry, Event
from tape.core.kernel.lifecycle import OBLIGATION_OPEN, EffectStatus, LeaseStatus, ObligationStatus, RunStatus
from tape.core.kernel.points import BY_NAME, Death, Stage
from tape.core.kernel.resolution import Step
from tape.core.render import line
from tape.core.story_facts import UNDO, EffectFact, Facts, at_hook, blow, by_agent, struck
from tape.core.text import show

FIRST_WORDS = {Death.KILL: "killed", Death.TERM: "terminated", Death.STOP: "frozen", Death.LOST: "reply lost"}
DIED = "died"
KNOWN = "known"
DRAINED = "drained"
REDRIVEN = "re-driven"
PERSON = "a person must decide"
STUCK = "stuck"
SENT_AGAIN = "sent again, same answer"
ENDED = "the run ended"
THAWED = "thawed in time"


@dataclass(frozen=True, slots=True)
class VerdictStep:
    """`since_us` counts from the death. A step `seq n` is the first record that the run wrote when it went on."""

    word: str
    since_us: int
    entry_id: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """One death. `point` and `death` are empty where nobody ordered it: then the time counts from when it was known.
    `effect` is the key of the effect that was open then (the first of several). `hook`: the process of a look-up, a
    dispatch or an undo died, not the driver. `decisions` and `confirmed_before` (effects that change something) are
    what the run had behind it; `confirmed` and `open` bound the acts to be expected now: those of `effect`, or the
    whole run's where nothing was open."""

    run_id: str
    point: str
    death: str
    pid: int
    effect: str | None
    tool: str
    hook: bool
    steps: tuple[VerdictStep, ...]
    complete: bool
    decisions: int
    confirmed_before: int
    confirmed: int
    open: int

    @property
    def refused(self) -> bool:
        """A frozen worker was thawed, and its write refused."""
        return any(step.word == "refused" for step in self.steps)


@dataclass(slots=True)
class _Case:
    """A verdict in the making. `open`: effects that were open at the death, with how each was settled."""

    entry: Entry
    point: str
    death: str
    worker: int
    pid: int
    epoch: int
    decisions: int
    confirmed_before: int
    hook_key: str = ""
    open: dict[str, str] = field(default_factory=lambda: {})
    steps: list[VerdictStep] = field(default_factory=lambda: [])
    known: bool = False
    regranted: bool = False
    complete: bool = False
    over: bool = False
    own_at_us: int | None = None

    @property
    def hook(self) -> bool:
        return at_hook(self.point)

    def step(self, word: str, entry: Entry) -> None:
        self.steps.append(VerdictStep(word, entry.at_us - self.entry.at_us, entry.id))

    def refused(self, entry: Entry) -> None:
        """Told once, however often the zombie writes."""
        if not any(step.word == "refused" for step in self.steps):
            self.step("refused", entry)

    @property
    def settled(self) -> bool:
        return all(self.open.values())


class Judge:
    """Takes one run's entries in order of id, batch by batch, and has their verdicts. Nothing looks ahead."""

    def __init__(self) -> None:
        self._facts = Facts()
        self._cases: list[_Case] = []
        self._run_id: str | None = None
        self._hooks: dict[int, str] = {}
        self._held: events.PointReached | None = None

    def add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._run_id = self._run_id or entry.run_id
            if entry.run_id is not None and entry.run_id == self._run_id:
                try:
                    self._take(entry)
                except (TypeError, ValueError, AttributeError, KeyError):
                    continue  # a damaged body says nothing

    @property
    def run_id(self) -> str | None:
        return self._run_id

    @property
    def facts(self) -> Facts:
        """As of the last entry taken."""
        return self._facts

    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(self._verdict(case) for case in self._cases)

    # --- opening a case ---------------------------------------------------------------------------------------

    def _take(self, entry: Entry) -> None:
        event = entry.event
        self._facts.take(entry, line(entry))
        if isinstance(event, events.PointReached):
            self._reach(entry, event)
            return
        if isinstance(event, events.OrderPlaced):
            self._order(entry, event)
            return
        if isinstance(event, events.AttemptStarted) and event.worker is not None:
            self._hooks[event.worker] = event.key
        if by_agent(event):
            self._held = None
        if isinstance(event, events.LeaseEnded):
            self._lease_ended(entry, event)
        for case in self._cases:
            if isinstance(event, events.WriteRefused):
                self._refused(case, entry, event)
            elif not case.complete and not case.over:
                (self._follow_hook if case.hook else self._follow)(case, entry)

    def _open(self, entry: Entry, point: str, death: str, worker: int, pid: int, word: str) -> _Case:
        facts = self._facts
        acts = sum(effect.acts and effect.status == EffectStatus.CONFIRMED for effect in facts.effects.values())
        case = _Case(entry, point, death, worker, pid, entry.epoch, facts.decisions, acts)
        if not case.hook and death in (Death.KILL, Death.STOP, ""):
            case.open = {effect.key: "" for effect in facts.open_effects()}
        case.step(word, entry)
        self._cases.append(case)
        return case

    def _reach(self, entry: Entry, event: events.PointReached) -> None:
        death = blow(event.point, event.death)
        if death not in FIRST_WORDS:
            self._held = event
            return
        case = self._open(entry, event.point, death, event.worker, event.pid, FIRST_WORDS[Death(death)])
        if case.hook:
            case.hook_key = self._hooks.get(event.worker, "")
            case.open = {case.hook_key: ""} if case.hook_key else {}
        elif self._facts.live is None and self._facts.ended_us is not None:
            case.step("the run had ended", entry)
            case.complete = True

    def _order(self, entry: Entry, event: events.OrderPlaced) -> None:
        """Strikes whoever drives the run now; at a place where it is stopped already, the death has that place."""
        lease = self._facts.live
        death = struck(event, lease)
        if death not in FIRST_WORDS or lease is None:
            return
        waiting = [case for case in self._cases if death != Death.LOST and self._awaits(case, lease.epoch)]
        held = self._held
        point = waiting[-1].point if waiting else held.point if held and held.worker == lease.worker else ""
        for case in waiting:
            self._cases.remove(case)
        self._open(entry, point, death, lease.worker, lease.pid, FIRST_WORDS[Death(death)])

    @staticmethod
    def _awaits(case: _Case, epoch: int) -> bool:
        alive = case.known or case.complete or case.over or case.hook
        return not alive and case.death != Death.LOST and case.epoch == epoch

    def _lease_ended(self, entry: Entry, event: events.LeaseEnded) -> None:
        waiting = [case for case in self._cases if self._awaits(case, event.epoch)]
        for case in self._cases:
            if case.death == Death.LOST and case.epoch == event.epoch and not case.complete:
                self._lose_lost(case, entry, event)
        if event.status == LeaseStatus.RELEASED:
            for case in waiting:
                if case.death == Death.TERM:
                    case.known = True
                    case.step(DRAINED, entry)
                else:  # the order came too late: the drive had ended by itself
                    self._cases.remove(case)
            return
        if waiting:
            case = waiting[-1]
            case.step(KNOWN, entry)
        else:
            held = self._held
            point = held.point if held and held.worker == event.worker else ""
            case = self._open(entry, point, "", event.worker, event.pid, DIED)
        case.known = True
        case.open = {effect.key: "" for effect in self._facts.open_effects()}
        if not case.open:
            case.step("nothing was open", entry)

    @staticmethod
    def _lose_lost(case: _Case, entry: Entry, event: events.LeaseEnded) -> None:
        """The drive ends after a lost reply: by dying, or by parking, which shows that the answer came after all."""
        if event.status != LeaseStatus.RELEASED:
            case.over = True
        elif event.why != ENDED:
            case.step(SENT_AGAIN, entry)
            case.complete = True

    # --- following it -----------------------------------------------------------------------------------------

    def _follow(self, case: _Case, entry: Entry) -> None:
        event = entry.event
        if not case.known:
            self._follow_alive(case, entry)
            return
        self._settle(case, entry)
        if isinstance(event, events.LeaseGranted) and not case.regranted:
            case.regranted = True
            case.step(REDRIVEN, entry)
        elif isinstance(event, events.RunEnded) and not case.regranted:
            case.step(f"ended {show(event.outcome, 20)}", entry)
            case.complete = True
        elif case.regranted and by_agent(event) and not self._has_gone_on(case):
            case.step(f"seq {entry.seq}", entry)
        case.complete = case.complete or (case.settled and self._has_gone_on(case))

    @staticmethod
    def _has_gone_on(case: _Case) -> bool:
        return any(step.word.startswith("seq ") for step in case.steps)

    def _follow_alive(self, case: _Case, entry: Entry) -> None:
        """The driver lives as far as anybody knows: a lost reply, a freeze that was thawed in time."""
        if entry.epoch != case.epoch or entry is case.entry or not _from_driver(entry.event):
            return
        if case.death == Death.STOP:
            case.step(THAWED, entry)
            case.complete = True
        elif case.death == Death.LOST:
            received = case.point in BY_NAME and BY_NAME[case.point].stage is Stage.RECEIVED
            if received and case.own_at_us in (None, entry.at_us) and not isinstance(entry.event, events.RunEnded):
                case.own_at_us = entry.at_us  # the boundary itself, whose answer is the one that is lost
                return
            ended = isinstance(entry.event, events.RunEnded)
            case.step("recorded" if ended and received else SENT_AGAIN, entry)
            if entry.seq is not None:
                case.step(f"seq {entry.seq}", entry)
            case.complete = True

    def _settle(self, case: _Case, entry: Entry) -> None:
        event = entry.event
        key = getattr(event, "key", None)
        if isinstance(event, events.EffectEnded) and key in case.open:
            case.open[key] = event.resolution
            if case.settled:
                case.step(", ".join(dict.fromkeys(show(how, 20) for how in case.open.values())), entry)
        elif isinstance(event, events.Observed) and key in case.open and event.step == Step.AGAIN:
            case.step(show(event.answer, 20), entry)
        elif isinstance(event, events.EffectDoubted) and key in case.open and event.why.startswith("retry ordered"):
            case.step("retry ordered", entry)
        elif isinstance(event, events.RunMoved) and event.status == RunStatus.STUCK:
            asks = any(effect.step == Step.PERSON for effect in self._facts.open_effects())
            case.step(PERSON if asks else STUCK, entry)

    def _follow_hook(self, case: _Case, entry: Entry) -> None:
        event, key = entry.event, case.hook_key
        if entry is case.entry or not key:
            return
        concerns = getattr(event, "key", None) == key
        if concerns and isinstance(event, events.AttemptEnded | events.ClaimEnded) and not case.known:
            case.known = True
            case.step(KNOWN, entry)
        elif concerns and isinstance(event, events.AttemptStarted) and case.known:
            again = {"look-up": "asked again", "undo": "undone again"}.get(event.what, "dispatched again")
            case.step(again, entry)
        elif concerns and isinstance(event, events.ObligationMoved):
            self._follow_duty(case, entry, event)
        elif case.known:
            self._settle(case, entry)
            case.complete = case.settled

    @staticmethod
    def _follow_duty(case: _Case, entry: Entry, event: events.ObligationMoved) -> None:
        if event.status == ObligationStatus.STUCK:
            case.step(PERSON, entry)
        elif event.status in (ObligationStatus.DONE, ObligationStatus.DROPPED):
            case.step("undone" if event.status == ObligationStatus.DONE else "let stand", entry)
            case.complete = True

    @staticmethod
    def _refused(case: _Case, entry: Entry, event: events.WriteRefused) -> None:
        if case.death == Death.STOP and case.epoch == event.epoch and case.worker == event.worker:
            case.refused(entry)

    # --- the verdict ------------------------------------------------------------------------------------------

    def _verdict(self, case: _Case) -> Verdict:
        key = next(iter(case.open), None)
        effect = self._facts.effects.get((key or "").partition(UNDO)[0])
        about = [effect] if effect is not None else [each for each in self._facts.effects.values() if each.acts]
        sure = [each for each in about if each.status == EffectStatus.CONFIRMED and not _undone(each)]
        maybe = [each for each in about if each.open or (each.status == EffectStatus.CONFIRMED and _undone(each))]
        return Verdict(
            run_id=self._run_id or "",
            point=show(case.point, 60),
            death=show(str(case.death), 20),
            pid=case.pid,
            effect=effect.key if effect is not None else None,
            tool=effect.tool if effect is not None else "",
            hook=case.hook,
            steps=tuple(case.steps),
            complete=case.complete,
            decisions=case.decisions,
            confirmed_before=case.confirmed_before,
            confirmed=len(sure),
            open=len(maybe),
        )


def _undone(effect: EffectFact) -> bool:
    """Its act is, or may be, taken back."""
    return effect.undo in OBLIGATION_OPEN or effect.undo == ObligationStatus.DONE


def _from_driver(event: Event) -> bool:
    if isinstance(event, events.AttemptStarted):
        return event.by == "agent"
    return by_agent(event) or isinstance(event, events.ModelAsked | events.Attached)
