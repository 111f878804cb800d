"""How a killed run differs from the good one although its ledgers agree: another end, another tape, another result.
Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from tape.core.journal.dump import EffectView, RunDump
from tape.core.kernel.lifecycle import RUN_ENDS, EffectStatus, RunStatus
from tape.core.kernel.resolution import Resolution
from tape.core.text import show
from tape.lab.family import Kinship
from tape.lab.good import Good, Line, place_of, shape_of, tape_of
from tape.lab.outcome import Outcome
from tape.lab.proof import Cause, Mistake

UNCERTAIN = frozenset({Resolution.COMPENSATED, Resolution.DECIDED})
"""How an effect may end otherwise than in the good run without anybody's mistake."""


def differences(outcome: Outcome, good: Good) -> Iterator[tuple[Kinship, Cause]]:
    """Per run of the family, the children first: what they come to stands on their parents' tapes."""
    every = [effect for dump in outcome.family.values() for effect in dump.effects]
    if any(effect.status == EffectStatus.FAILED and effect.resolution in UNCERTAIN for effect in every):
        return  # what the agent makes of a failed call is its own affair
    for kinship, dump in [*outcome.family.items()][::-1]:
        if not kinship or _comparable(kinship, dump, good):
            yield from ((kinship, cause) for cause in _other(kinship, dump, outcome, good))


def _comparable(kinship: Kinship, dump: RunDump, good: Good) -> bool:
    """A child has a twin, and both have come to an end of their own: whom its parent cancels depends on who is
    quicker."""
    twin = good.runs.get(kinship)
    ends = RUN_ENDS - {RunStatus.CANCELLED}
    return twin is not None and {dump.run.status, twin.dump.run.status} <= ends


def _other(kinship: Kinship, dump: RunDump, outcome: Outcome, good: Good) -> Iterator[Cause]:
    twin = good.runs[kinship]
    if dump.run.status != twin.dump.run.status:
        error = f": {_text(dump.run.error)}" if dump.run.error else ""
        sentence = f"the run ends {dump.run.status} after the kill, {twin.dump.run.status} without{error}"
        yield Cause(Mistake.OTHER_END, sentence)
    elif twin.fixed:
        yield from _other_tape(tape_of(dump, outcome.acts), twin.lines, dump)


def _other_tape(lines: Iterable[Line], good: Iterable[Line], dump: RunDump) -> Iterator[Cause]:
    """The first difference, if nobody but the agent's code can have made it. Once a clock, chance, a model or a tool
    that ran to its end may have said something else, what follows may follow from that."""
    ends = {place_of(effect.key): effect for effect in dump.effects}
    free = False
    for line, same in zip_longest(lines, good, fillvalue=Line("nothing", None)):
        effect = ends.get(_place(line))
        if line.what != same.what:
            if not free and not (_of_kin(line) and _of_kin(line) == _of_kin(same)):
                yield Cause(
                    Mistake.OTHER_TAPE,
                    f"the killed run records something else: {_text(line.what)} instead of {_text(same.what)}; the "
                    "agent's code depends on more than its tape",
                )
            return
        if effect is not None and effect.resolution == Resolution.OBSERVED and _another_shape(line, same):
            yield _other_look_up(line, same, effect)
            return
        if line.value is None or same.value is None:
            free = free or not line.what.startswith("timer_fired")
        elif line.value != same.value:
            if effect is not None and effect.resolution == Resolution.OBSERVED:
                yield _other_look_up(line, same, effect)
                return
            free = free or effect is not None or _answered_otherwise(line.value, same.value, line.what)
            free = free or bool(_of_kin(line))
            if not free:
                yield Cause(
                    Mistake.OTHER_RESULT,
                    f"{line.what} has another value after the kill: {_text(line.value)} instead of "
                    f"{_text(same.value)}; the agent's code depends on more than its tape",
                )
                return


def _of_kin(line: Line) -> str:
    """What the run is only told: its input by its parent, the end of a child by that child. Each has a tape of its own.
    Empty for other lines."""
    kind, _, rest = line.what.partition(" ")
    return {"run_started": kind, "child_ended": f"{kind} {rest.partition(' ')[0]}"}.get(kind, "")


def _another_shape(line: Line, same: Line) -> bool:
    return same.shape is not None and shape_of(line.value) not in (None, same.shape)


def _answered_otherwise(now: str, was: str, what: str) -> bool:
    """A sample's value, or a model's answer to the same question."""
    if what.startswith("sample "):
        return True
    return what.startswith("decision ") and json.loads(now)[0] == json.loads(was)[0]


def _other_look_up(line: Line, same: Line, effect: EffectView) -> Cause:
    return Cause(
        Mistake.OTHER_RESULT,
        f"the look-up of {effect.tool} finds another result than the body returns: {_text(line.value)} instead of "
        f"{_text(same.value or same.shape)}; it must be exactly what the body would have returned",
        effect.tool,
    )


def _place(line: Line) -> str:
    """Of the effect that the line ends; nothing for other lines."""
    kind, _, rest = line.what.partition(" ")
    return rest.rpartition(" ")[0] if kind == "effect_ended" else ""


def _text(value: object) -> str:
    return show(str(value), 160)
