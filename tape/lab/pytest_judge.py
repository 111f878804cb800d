"""What is wrong with a run that a test has played: by its ledgers, its journal, its processes. Sentences."""

from __future__ import annotations

from collections.abc import Iterator

from tape.core.kernel.events import PointReached
from tape.core.text import show
from tape.lab.convict import causes
from tape.lab.good import Good
from tape.lab.outcome import Outcome
from tape.lab.proof import Cause, Mistake
from tape.lab.pytest_play import Setup, good_run

OF_ACTS = frozenset(
    {
        Mistake.NO_KEY,
        Mistake.KEY_IGNORED,
        Mistake.LOOK_UP_LIES,
        Mistake.LOOK_UP_LAGS,
        Mistake.DOUBLED,
        Mistake.LOST,
    }
)
OTHERWISE = frozenset({Mistake.OTHER_END, Mistake.OTHER_RESULT, Mistake.OTHER_TAPE})
"""A test says itself how a run is to end; another end than the good run's is wrong only if it is played at every
crash point."""


def faults_of(outcome: Outcome, setup: Setup, good: Good | None) -> tuple[str, ...]:
    """`good`: the run must go like this one. Without it, and if somebody died, a good run is played to compare the acts
    with. Raises as `play`."""
    told = _convicted(outcome, setup, good)
    sentences = [cause.sentence for cause in told]
    if not any(cause.mistake in OF_ACTS for cause in told):
        sentences = [*_out_of_bounds(outcome), *sentences]
    if not told:
        sentences += [f"the journal does not hold together: {show(what, 160)}" for what in outcome.findings]
        if outcome.orphans:
            pids = ", ".join(map(str, outcome.orphans))
            sentences.append(f"processes that the agent has started live on after it (pid {pids})")
    return tuple(dict.fromkeys(sentences))


def _convicted(outcome: Outcome, setup: Setup, good: Good | None) -> list[Cause]:
    if good is not None:
        return list(causes(outcome, good))
    if not any(isinstance(entry.event, PointReached) for entry in outcome.entries):
        return []
    found = _against_good(outcome, setup, 1)
    # What one good run does not have is a mistake only if a second one has it neither.
    return _against_good(outcome, setup, 2) if found else found


def _against_good(outcome: Outcome, setup: Setup, runs: int) -> list[Cause]:
    good = good_run(setup, runs)
    if isinstance(good, str):
        return []
    return [cause for cause in causes(outcome, good) if cause.mistake not in OTHERWISE]


def _out_of_bounds(outcome: Outcome) -> Iterator[str]:
    """What the contract counts, key by key."""
    for key in outcome.surplus:
        stands = [act for found in outcome.acts.values() for act in found if act.key == key and not act.undone]
        yield f"{len(stands)} acts stand under the key {show(key, 120)}, more than the journal allows"
    for key in outcome.missing:
        yield f"no act stands under the key {show(key, 120)}, which the journal holds to be CONFIRMED"
