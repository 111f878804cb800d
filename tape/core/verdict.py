"""Verdicts: what did happen after each death of a run, whether the upstream agrees, and what else would have happened.

Pure. What counts as a death, and how it is followed, is the judge's (verdict_judge.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from tape.core.kernel.events import Entry
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.points import Death
from tape.core.kernel.resolution import Resolution, Semantics
from tape.core.story_facts import EffectFact
from tape.core.text import count, duration, show
from tape.core.verdict_judge import THAWED, Judge, Verdict, VerdictStep

__all__ = ["Judge", "Verdict", "VerdictStep", "counterfactual", "holds", "verdict_line", "verdicts"]


def verdicts(entries: Sequence[Entry]) -> tuple[Verdict, ...]:
    """One verdict per death of this run, oldest first."""
    judge = Judge()
    judge.add(entries)
    return judge.verdicts()


def holds(verdict: Verdict, acts: int) -> bool:
    """Whether the upstream's count fits: no fewer acts (not undone) than are confirmed, no more than those and the
    open ones."""
    return verdict.confirmed <= acts <= verdict.confirmed + verdict.open


def verdict_line(verdict: Verdict, acts: int | None, upstream: str, noun: str) -> str:
    """`killed → known 1 ms → observed 31 ms → re-driven 44 ms → seq 8; bank saw 1 wire ✓`.

    `acts`: the acts not undone in the upstream's ledger, of the verdict's effect or, where nothing was open, of the
    whole run; None if it cannot be read, and then nothing is said about it.
    """
    words = [
        step.word if step.since_us == 0 or step.word.startswith("seq ") else f"{step.word} {duration(step.since_us)}"
        for step in verdict.steps
    ]
    text = " → ".join(words)
    if acts is None:
        return text
    seen = count(acts, show(noun, 20))
    return f"{text}; {show(upstream, 20)} saw {seen} {'✓' if holds(verdict, acts) else '✗'}"


def counterfactual(verdict: Verdict, effect: EffectFact | None, honours_key: bool | None, *, noun: str = "act") -> str:
    """What a blind retry would have done instead; empty if nothing else, or if it is not known (yet).

    `effect` is the verdict's. `honours_key`: whether the upstream answers a known key with the first act; None if
    unknown, and then the tool's declaration is believed.
    """
    if verdict.death == Death.LOST or any(step.word == THAWED for step in verdict.steps):
        return ""  # nobody is gone, nobody would retry
    if effect is not None:
        told = _without_asking(verdict, effect, honours_key, show(noun, 20))
        if told:
            return told
        if effect.open:
            return ""
    if verdict.refused:
        return "without the fence the thawed worker writes on: one run, two drivers"
    if verdict.hook:
        return ""
    if verdict.confirmed_before and honours_key is not True:
        unless = "" if honours_key is False else ", unless the upstream honours its key"
        return f"a retry without the journal repeats {count(verdict.confirmed_before, 'confirmed effect')}{unless}"
    if verdict.decisions:
        return "a retry without the journal asks the model again and pays for it"
    return ""


def _without_asking(verdict: Verdict, effect: EffectFact, honours_key: bool | None, noun: str) -> str:
    """The same for the open effect: a second body is a second act, if the first has acted and its key is unknown."""
    declared = honours_key is None and effect.semantics == Semantics.IDEMPOTENT
    if not effect.acts or honours_key is True or declared or verdict.point.startswith("compensate."):
        return ""
    unless = "" if honours_key is False else ", unless the upstream honours the key"
    if effect.row == "X-duplicate":
        return f"without the look-up: one more {noun}, and nobody knows of the surplus{unless}"
    if effect.resolution == Resolution.OBSERVED:
        return f"without the look-up: {count(2, noun)}{unless}"
    if effect.resolution == Resolution.DECIDED and effect.status == EffectStatus.CONFIRMED:
        return f"a retry instead of the question: {count(2, noun)}{unless}"
    if effect.resolution == Resolution.COMPENSATED and verdict.point not in ("effect.begun", "dispatch.started"):
        return f"a blind retry could have left {count(2, noun)}: nobody can be asked{unless}"
    return ""
