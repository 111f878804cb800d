"""What the rules of the model test have in common: runs beside their models, moves and when they make sense."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tape.core.journal import effects, quarantine
from tape.core.journal.effects import Call
from tape.core.journal.transaction import Tx
from tape.core.kernel.errors import Refused, UsageError
from tests.journal.book import Book
from tests.journal.model import Asked, Run
from tests.journal.model_gates import No

CAPS: list[dict[str, int]] = [{}, {"tokens": 90, "usd_micro": 250}, {"usd_micro": 120, "calls:tool": 2}, {"tokens": 40}]
MAX_EFFECTS = 3
MEMORY = Path("/dev/shm")
"""No disk, where there is such a thing: what survives a power cut is not the question here."""

NUMBERS = range(60)
BOTH = [False, True]
MOSTLY = [0] * 14 + [-1, 1]
"""Added to an epoch or a number: most are right."""

Fits = Callable[[Run], Any]


def alive(run: Run) -> bool:
    return run.status not in ("TERMINAL", "FAILED", "CANCELLED")


def running(run: Run) -> bool:
    return run.status == "RUNNING"


def move(fits: Fits, every: int = 1, *, idle: bool = False, **choices: Sequence[Any]) -> Callable[[Any], Any]:
    """A rule that is tried only while it makes sense for some run (it may still pick another), with its arguments;
    what would soon end everything, or tells little, at one step in so many, or (`idle`) when there is nothing else."""

    def enabled(self: Machine) -> bool:
        if self.turn % every == 0:
            return any(fits(run) for run in self.runs.values())
        return idle and not any(other(self) for other, _, _ in MOVES if other is not enabled)

    def mark(method: Any) -> Any:
        @wraps(method)
        def counted(self: Machine, **args: Any) -> None:
            self.turn += 1
            self.steps[method.__name__] += 1
            method(self, **args)

        marked = rule(**{name: st.sampled_from(list(values)) for name, values in choices.items()})(counted)
        marked = precondition(enabled)(marked)
        MOVES.append((enabled, marked, {name: list(values) for name, values in choices.items()}))
        return marked

    return mark


MOVES: list[tuple[Callable[[Any], bool], Any, dict[str, list[Any]]]] = []


class Machine(RuleBasedStateMachine):
    steps: ClassVar[Counter[str]] = Counter()
    """Rules applied, over all journals."""
    verbs: ClassVar[Counter[str]] = Counter()
    """Verbs accepted and refused, over all journals."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tape-model-", dir=MEMORY if MEMORY.exists() else None))
        self.book = Book(self.folder / "dev.db")
        self.runs: dict[str, Run] = {}
        self.finals: set[tuple[str, ...]] = set()
        self.sent: tuple[Any, ...] | None = None
        self.turn = 0
        self.start()

    def teardown(self) -> None:
        if hasattr(self, "book"):
            self.book.close()
            shutil.rmtree(self.folder)

    def start(self) -> None:
        caps = CAPS[self.turn % len(CAPS)]
        run = Run(id=self.book.start(caps=caps))
        run.purse.caps |= caps
        self.runs[run.id] = run

    def pick(self, number: int, fits: Fits) -> str:
        """A run for which the rule makes sense, seldom any other."""
        listed = [run_id for run_id, run in self.runs.items() if fits(run)]
        if not listed or number % 15 == 14:
            listed = list(self.runs)
        return listed[number % len(listed)]

    def some(self, number: int, fitting: list[int], all_of_them: int) -> int:
        """An index that fits, seldom any other."""
        if fitting and number % 8:
            return fitting[number % len(fitting)]
        return number % (all_of_them + 1)

    def apply(
        self,
        run_id: str,
        expect: Callable[[Run], Any],
        verb: Callable[..., Any],
        *args: Any,
        born: Callable[[Any], str] | None = None,
        **named: Any,
    ) -> Any:
        """The model and the journal agree on whether the verb is accepted; a refused one writes nothing. `born`: the id
        of the run that it makes, from what it returns. Returns what both say."""
        self.sent = (run_id, expect, verb, args, {**named, "born": born})
        family = self.runs[run_id].copied()
        for run in family.values():
            run.now, run.wall = self.book.clock.boot_us(), self.book.clock.wall_us()
        try:
            said = expect(family[run_id])
        except No:
            self.verbs["refused"] += 1
            self.book.refused(verb, *args, by=(Refused, UsageError), **named)
            return None, None
        self.verbs["accepted"] += 1
        result = self.book.do(verb, *args, **named)
        self.runs |= {known: family[known] for known in family if known}
        if born is not None:
            said.id = born(result)
            self.runs[said.id] = said
        return said, result

    def key(self, run_id: str, ordinal: int) -> str:
        begun = self.runs[run_id].effects
        return f"{run_id}/-/{ordinal}/{begun[ordinal].tool if ordinal < len(begun) else 'tool'}"

    def duty_key(self, run_id: str, index: int) -> str:
        duties = self.runs[run_id].duties
        if index >= len(duties):
            return "no/such/duty/undo/1"
        return f"{self.key(run_id, duties[index].effect)}/undo/{duties[index].number}"

    def wait(self, until_us: int) -> None:
        self.book.clock.advance(max(0, until_us - self.book.clock.boot_us()) / 1_000_000)

    def wait_wall(self, until_us: int) -> None:
        self.book.clock.advance(max(0, until_us - self.book.clock.wall_us()) / 1_000_000)

    def begun(self, run_id: str, asked: Asked, off: int = 0) -> None:
        """The run's next call."""
        run = self.runs[run_id]
        if len(run.effects) - run.inherited < MAX_EFFECTS:
            epoch, ordinal = run.epoch + off, len(run.effects)
            approval = None if asked.approval is None else f"{asked.approval[0]} {asked.approval[1]}"
            call = Call(
                None,
                ordinal,
                asked.tool,
                {"n": asked.args},
                asked.policy,
                approval=approval,
                cost_micro=asked.cost,
                awaited=asked.awaited,
            )
            verb = begin_in_quarantine if asked.quarantined else effects.begin_effect
            self.apply(run_id, lambda run: run.begin(epoch, ordinal, asked), verb, run_id, epoch, call, "f")


def begin_in_quarantine(tx: Tx, run_id: str, epoch: int, call: Call, fingerprint: str) -> None:
    """What the server does with a call of a run in quarantine, in one transaction."""
    effects.begin_effect(tx, run_id, epoch, call, fingerprint, quarantined=True)
    quarantine.end_in_quarantine(tx, run_id, epoch, f"{run_id}/-/{call.ordinal}/{call.tool}", "made")
