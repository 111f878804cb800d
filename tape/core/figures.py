"""Recovery in figures: per crash of a run how long it took, what was paid again, which second acts did not happen; and
what people were asked. Pure: from the entries of one run. Names ending in `_us` are microseconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tape.core.clock import format_us
from tape.core.kernel import events
from tape.core.kernel.events import Entry
from tape.core.kernel.lifecycle import RUN_ENDS, EffectStatus, RunStatus
from tape.core.kernel.points import Death
from tape.core.kernel.resolution import Resolution
from tape.core.text import count, duration, money, show
from tape.core.verdict_judge import DRAINED, KNOWN, PERSON, REDRIVEN, STUCK, THAWED, Judge, Verdict

SIGNALS = {Death.KILL: "killed", Death.TERM: "terminated", Death.STOP: "frozen", "": "died"}


@dataclass(frozen=True, slots=True)
class Crash:
    """One death, of the run's driver or (`hook`) of the process of a look-up, a dispatch or an undo. The times count
    from the death; where nobody ordered it, from when it was known. None: it has not come to that (yet), or it never
    does (a run that was settled and not driven on). `settled`: nothing was left that somebody outside had to settle.

    `asks_repeated`: questions that the model was asked again because the reply was lost; `tokens` and `usd_micro` are
    what they cost at most: what was held back for them if the run has caps, else what the recorded reply cost.
    `second_acts_prevented`: acts behind the run that were found by a look-up or answered from the record, where a retry
    without a journal would have acted again."""

    at_us: int
    point: str
    death: str
    hook: bool
    known_us: int | None = None
    settled_us: int | None = None
    redriven_us: int | None = None
    first_record_us: int | None = None
    asks_repeated: int = 0
    tokens: int = 0
    usd_micro: int = 0
    second_acts_prevented: int = 0

    @property
    def recovered(self) -> bool:
        return self.first_record_us is not None


@dataclass(frozen=True, slots=True)
class Question:
    """Something that only a person could answer: a run that was `stuck`, a `gate`, or a cap (`budget`).
    `took_us` is None until a person has answered it; `over`: nobody is asked any more, and nobody has answered."""

    kind: str
    about: str
    at_us: int
    took_us: int | None = None
    over: bool = False


@dataclass(frozen=True, slots=True)
class Recovery:
    """All of it, for one run. What is outside of any crash (an ask repeated after a drain) counts here only."""

    crashes: tuple[Crash, ...] = ()
    questions: tuple[Question, ...] = ()
    asks_repeated: int = 0
    tokens: int = 0
    usd_micro: int = 0
    second_acts_prevented: int = 0

    def __bool__(self) -> bool:
        return bool(self.crashes or self.questions or self.asks_repeated)


@dataclass(frozen=True, slots=True)
class Totals:
    """Over many runs. `runs`: those that had anything of it; `took_us`: of the crashes that are recovered, from the
    death to the first new record, the shortest first; `open_questions`: nobody has answered them."""

    runs: int = 0
    crashes: int = 0
    took_us: tuple[int, ...] = ()
    asks_repeated: int = 0
    tokens: int = 0
    usd_micro: int = 0
    second_acts_prevented: int = 0
    questions: int = 0
    open_questions: int = 0

    def __bool__(self) -> bool:
        return bool(self.runs)


@dataclass(slots=True)
class _Note:
    """What one entry adds, until it is known to which crash: a repeated ask with its price, or acts not done again."""

    entry_id: int
    repeated: int = 0
    tokens: int = 0
    usd_micro: int = 0
    keys: frozenset[str] = frozenset()
    attached: bool = False


class Figuring:
    """Takes one run's entries in order of id, batch by batch, and has its judge take them too. Damaged ones say
    nothing."""

    def __init__(self) -> None:
        self.judge = Judge()
        self._at: dict[int, int] = {}
        self._notes: list[_Note] = []
        self._unpriced: dict[str, list[_Note]] = {}
        self._lost: Counter[str] = Counter()
        self._open: dict[str, int] = {}
        self._questions: list[Question] = []

    def add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.judge.add([entry])
            if entry.run_id is None or entry.run_id != self.judge.run_id:
                continue
            try:
                self._take(entry)
            except (TypeError, ValueError, AttributeError, KeyError):
                continue

    def _take(self, entry: Entry) -> None:
        if isinstance(entry.event, events.PointReached | events.OrderPlaced | events.LeaseEnded):
            self._at[entry.id] = entry.at_us
        self._take_money(entry)
        self._take_acts(entry)
        self._take_questions(entry)

    def _take_money(self, entry: Entry) -> None:
        """An ask that was lost has the price that was held back for it; if nothing was, that of the recorded reply."""
        event = entry.event
        if isinstance(event, events.ModelAsked) and event.asks > 1:
            note, place = _Note(entry.id, repeated=1), f"decision {event.index}"
            self._notes.append(note)
            if self._lost[place]:
                self._lost[place] -= 1
            else:
                self._unpriced.setdefault(place, []).append(note)
        elif isinstance(event, events.BudgetLost):
            self._notes.append(_Note(entry.id, tokens=event.tokens, usd_micro=event.usd_micro))
            if self._unpriced.get(event.place):
                self._unpriced[event.place].pop()
            else:
                self._lost[event.place] += 1
        elif isinstance(event, events.Charge):
            for note in self._unpriced.pop(event.pays_for, []):
                note.tokens += event.tokens_in + event.tokens_out
                note.usd_micro += event.usd_micro

    def _take_acts(self, entry: Entry) -> None:
        event = entry.event
        if isinstance(event, events.Attached):
            known = (self.judge.facts.effects.get(key) for key in event.replayed)
            acts = (each.key for each in known if each and each.acts and each.status == EffectStatus.CONFIRMED)
            self._notes.append(_Note(entry.id, keys=frozenset(acts), attached=True))
        elif isinstance(event, events.EffectEnded) and event.resolution == Resolution.OBSERVED:
            self._notes.append(_Note(entry.id, keys=frozenset({event.key})))

    def _take_questions(self, entry: Entry) -> None:
        event = entry.event
        if entry.epoch == 0:  # taken over with the tape that this run was forked from: asked in that one
            return
        if isinstance(event, events.RunMoved):
            if event.status == RunStatus.STUCK:
                self._ask("stuck", show(event.why, 200), entry.at_us)
            elif event.was == RunStatus.STUCK:
                self._answered("stuck", entry.at_us)
            if event.was == RunStatus.WAITING:
                for name in [name for name in self._open if name.startswith("budget ")]:
                    self._answered(name, entry.at_us)
            if event.status in RUN_ENDS or event.status == RunStatus.COMPENSATING:
                for name in [*self._open]:
                    self._drop(name)
        elif isinstance(event, events.BudgetAwaited):
            self._ask(f"budget {event.place}", f"{event.place} waits for a cap", entry.at_us)
        elif isinstance(event, events.GateOpened):
            self._ask(f"gate {event.name} {event.ordinal}", show(event.prompt, 200), entry.at_us)
        elif isinstance(event, events.GateAnswered):
            name = f"gate {event.name} {event.ordinal}"
            self._drop(name) if event.timed_out else self._answered(name, entry.at_us)

    def _ask(self, name: str, about: str, at_us: int) -> None:
        if name not in self._open:
            self._open[name] = len(self._questions)
            self._questions.append(Question(name.partition(" ")[0], about, at_us))

    def _answered(self, name: str, at_us: int) -> None:
        place = self._open.pop(name, None)
        if place is not None:
            asked = self._questions[place]
            self._questions[place] = replace(asked, took_us=at_us - asked.at_us)

    def _drop(self, name: str) -> None:
        """Nobody is asked any more."""
        place = self._open.pop(name, None)
        if place is not None:
            self._questions[place] = replace(self._questions[place], over=True)

    # --- the figures ------------------------------------------------------------------------------------------

    def figures(self) -> Recovery:
        deaths = [(each.steps[0].entry_id, _crash(each, self._at)) for each in self.judge.verdicts() if _is_crash(each)]
        shares: dict[int, list[_Note]] = {death: [] for death, _ in deaths}
        for note in self._notes:
            earlier = [(death, crash.hook) for death, crash in deaths if death < note.entry_id]
            drivers = [death for death, hook in earlier if not hook]
            if earlier:  # a hook's death is an incident on the way of the driver's recovery
                shares[drivers[-1] if drivers else earlier[-1][0]].append(note)
        crashes = tuple(_shared(crash, shares[death]) for death, crash in deaths)
        return Recovery(
            crashes=crashes,
            questions=tuple(self._questions),
            asks_repeated=sum(note.repeated for note in self._notes),
            tokens=sum(note.tokens for note in self._notes),
            usd_micro=sum(note.usd_micro for note in self._notes),
            second_acts_prevented=sum(crash.second_acts_prevented for crash in crashes),
        )


def _is_crash(verdict: Verdict) -> bool:
    """Not: a reply that was lost, a freeze that was thawed in time, an orderly drain. There nothing had to recover."""
    words = {step.word for step in verdict.steps}
    return verdict.death != Death.LOST and not words & {THAWED, DRAINED}


def _crash(verdict: Verdict, at: Mapping[int, int]) -> Crash:
    known = redriven = first = settled = None
    for step in verdict.steps:
        if step.word == KNOWN:
            known = step.since_us
        elif step.word == REDRIVEN:
            redriven = step.since_us
        elif step.word.startswith("seq "):
            first = step.since_us
        elif step.word not in (PERSON, STUCK) and step is not verdict.steps[0] and redriven is None:
            settled = step.since_us
    if not verdict.death:
        known = 0
    return Crash(
        at_us=at.get(verdict.steps[0].entry_id, 0),
        point=verdict.point,
        death=verdict.death,
        hook=verdict.hook,
        known_us=known,
        settled_us=known if settled is None and redriven is not None else settled,
        redriven_us=redriven,
        first_record_us=first,
    )


def _shared(crash: Crash, notes: Sequence[_Note]) -> Crash:
    """The crash with what belongs to it. Of the drives after it only the first took up what the crash had left."""
    attached = next((note.keys for note in notes if note.attached), frozenset[str]())
    keys = attached.union(*(note.keys for note in notes if not note.attached))
    return replace(
        crash,
        asks_repeated=sum(note.repeated for note in notes),
        tokens=sum(note.tokens for note in notes),
        usd_micro=sum(note.usd_micro for note in notes),
        second_acts_prevented=len(keys),
    )


def recovery_of(entries: Sequence[Entry]) -> Recovery:
    figuring = Figuring()
    figuring.add(entries)
    return figuring.figures()


def totals_of(recoveries: Iterable[Recovery]) -> Totals:
    told = [each for each in recoveries if each]
    crashes = [crash for each in told for crash in each.crashes]
    questions = [question for each in told for question in each.questions]
    return Totals(
        runs=len(told),
        crashes=len(crashes),
        took_us=tuple(sorted(crash.first_record_us for crash in crashes if crash.first_record_us is not None)),
        asks_repeated=sum(each.asks_repeated for each in told),
        tokens=sum(each.tokens for each in told),
        usd_micro=sum(each.usd_micro for each in told),
        second_acts_prevented=sum(each.second_acts_prevented for each in told),
        questions=len(questions),
        open_questions=sum(question.took_us is None and not question.over for question in questions),
    )


# --- for people and programs --------------------------------------------------------------------------------------


def recovery_json(recovery: Recovery) -> dict[str, Any]:
    """Times as RFC 3339 UTC under `at`, all others in microseconds under `..._us`."""
    body = asdict(recovery)
    body["crashes"], body["questions"] = [*body["crashes"]], [*body["questions"]]
    for part in (*body["crashes"], *body["questions"]):
        part["at"] = format_us(part.pop("at_us"))
    return body


def recovery_lines(recovery: Recovery) -> list[str]:
    """A line that sums up, and one per crash and per question; none if nothing happened."""
    if not recovery:
        return []
    answered = [question for question in recovery.questions if question.took_us is not None]
    parts = [
        count(len(recovery.crashes), "crash", "crashes"),
        f"{count(recovery.second_acts_prevented, 'second act')} prevented",
        _repeated(recovery),
        f"{count(len(recovery.questions), 'question')}" + (f" ({len(answered)} answered)" if answered else ""),
    ]
    return [f"recovery: {', '.join(parts)}", *map(_crash_line, recovery.crashes), *map(_question, recovery.questions)]


def _repeated(of: Recovery | Crash | Totals) -> str:
    cost = f" ({count(of.tokens, 'token')}, {money(of.usd_micro)} at most)" if of.tokens or of.usd_micro else ""
    return f"{count(of.asks_repeated, 'ask')} repeated{cost}"


def _crash_line(crash: Crash) -> str:
    place = f" at {crash.point}" if crash.point else ""
    who = " (a hook's process)" if crash.hook else ""
    words = [_took(crash)]
    words += [f"{count(crash.second_acts_prevented, 'second act')} prevented"] if crash.second_acts_prevented else []
    words += [_repeated(crash)] if crash.asks_repeated else []
    return f"  {format_us(crash.at_us)[11:23]}Z {SIGNALS.get(crash.death, 'died')}{place}{who}: {', '.join(words)}"


def _took(crash: Crash) -> str:
    """How far it has come and how long that took; in brackets when it came by what lies before."""
    to_settle = crash.settled_us if crash.settled_us != crash.known_us else None
    stages = [
        ("known after", crash.known_us or None),
        ("settled in" if crash.hook else "settled after", to_settle),
        ("driven again after", crash.redriven_us),
        ("recovered in", crash.first_record_us),
    ]
    come = [(word, us) for word, us in stages if us is not None]
    if not come:
        return "not recovered"
    word, us = come.pop()
    before = f" ({', '.join(f'{word} {duration(us)}' for word, us in come)})" if come else ""
    end = "" if crash.recovered or crash.hook else ", not recovered"
    return f"{word} {duration(us)}{before}{end}"


def _question(question: Question) -> str:
    waits = "not answered" if question.over else "still open"
    took = waits if question.took_us is None else f"answered after {duration(question.took_us)}"
    return f"  {format_us(question.at_us)[11:23]}Z asked a person ({question.kind}): {question.about}; {took}"


def totals_json(totals: Totals) -> dict[str, Any]:
    """`recovery_us`: p50 and max of the time from a death to the first new record; null if none is recovered."""
    body = asdict(totals)
    took = body.pop("took_us")
    body["recovered"] = len(took)
    body["recovery_us"] = {"p50": took[(len(took) - 1) // 2], "max": took[-1]} if took else None
    return body


def totals_line(totals: Totals) -> str:
    took = totals.took_us
    speed = (
        f" (half of them within {duration(took[(len(took) - 1) // 2])}, all within {duration(took[-1])})"
        if took
        else ""
    )
    still = f" ({totals.open_questions} not answered)" if totals.open_questions else ""
    return ", ".join(
        (
            f"{count(totals.crashes, 'crash', 'crashes')} in {count(totals.runs, 'run')}: {len(took)} recovered{speed}",
            f"{count(totals.second_acts_prevented, 'second act')} prevented",
            _repeated(totals),
            f"{count(totals.questions, 'question')} to people{still}",
        )
    )
