"""Why a trial is wrong, in one sentence per mistake: judged by the upstreams' ledgers and contract.md. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tape.core.journal.dump import EffectView, RunDump
from tape.core.journal.needs import sides
from tape.core.kernel.events import AttemptEnded, ModelAsked, Observed, PointReached, RunMoved
from tape.core.kernel.lifecycle import EffectStatus, ObligationStatus, RunStatus
from tape.core.kernel.resolution import Answer, Resolution, Semantics
from tape.core.text import show
from tape.lab.convict_budget import overruns
from tape.lab.convict_tape import UNCERTAIN, differences
from tape.lab.family import Family, Kinship
from tape.lab.good import Good, ToolActs, acts_of_effect, nobody_s, place_of, standing_of, told_apart
from tape.lab.outcome import Outcome
from tape.lab.proof import Cause, Mistake

# --- the good run -------------------------------------------------------------------------------------------------


def about_good(outcome: Outcome) -> tuple[Cause, ...]:
    """What is wrong with the run although nothing was killed."""
    told = _unique(_of_good(outcome))
    return tuple(told or (_by_contract(outcome) if outcome.dump is not None else ()))


def _of_good(outcome: Outcome) -> Iterator[Cause]:
    dump = outcome.dump
    if outcome.late or dump is None:
        late = _bare(outcome.late, outcome)
        hint = "; if it only takes longer, say so with --within"
        yield Cause(Mistake.NO_GOOD_RUN, f"the run does not end although nothing is killed: {late}{hint}")
        return
    stuck = [(kinship, one) for kinship, one in outcome.family.items() if one.run.status == RunStatus.STUCK]
    for kinship, one in stuck:
        said = f"; the last that it said: {_text(outcome.said[-1])}" if outcome.said else ""
        why = _text(_why_stuck(one).replace(one.run.id, "the run")) + _raised(one)
        cause = Cause(Mistake.NO_GOOD_RUN, f"the run is STUCK although nothing is killed: {why}{said}")
        yield _in(kinship, one, cause)
    if stuck:
        return
    for kinship, one in outcome.family.items():
        for cause in _of_good_run(one, outcome):
            yield _in(kinship, one, cause)
    yield from _outside(outcome)
    yield from _of_journal(outcome)


def _of_good_run(dump: RunDump, outcome: Outcome) -> Iterator[Cause]:
    """What the run, or this descendant, does by itself."""
    for effect in dump.effects:
        if effect.result_error:
            yield Cause(
                Mistake.UNRECORDABLE,
                f"{effect.tool} has acted, but what it returned cannot be recorded ({_text(effect.result_error)}): "
                "its agent can never use the result; return plain data that JSON can hold",
                effect.tool,
            )
        yield from _two_acts(effect, outcome)
        yield from _reads_and_acts(effect, outcome)
    yield from overruns(dump)


def _in(kinship: Kinship, dump: RunDump, cause: Cause) -> Cause:
    """The cause, with the name of the child that it is about. Children of one agent make one mistake."""
    if not kinship:
        return cause
    return replace(cause, sentence=f"in a child run of {show(dump.run.agent, 60)}: {cause.sentence}")


def _reads_and_acts(effect: EffectView, outcome: Outcome) -> Iterator[Cause]:
    if effect.semantics == Semantics.READ_ONLY and (mine := acts_of_effect(effect, outcome.family, outcome.acts)):
        yield Cause(
            Mistake.READ_ONLY_ACTS,
            f"{effect.tool} is declared read_only, but {mine[0][0]} holds an act of it: whenever its answer is lost it "
            "acts again; declare what it does",
            effect.tool,
        )


def _outside(outcome: Outcome) -> Iterator[Cause]:
    """Acts in the ledgers that no tool has made: a crash repeats them, and nobody can tell."""
    if any(dump.obligations for dump in outcome.family.values()):
        return  # an undo may act in its own way
    for name, acts in outcome.acts.items():
        found = [act for act in acts if not act.undone and nobody_s(act, outcome.family)]
        if found:
            yield Cause(
                Mistake.ACTS_OUTSIDE,
                f"{name} holds acts that no tool has made ({found[0].collection}): whatever else the agent's code or a "
                "model does is done again after each crash; put it into a tool",
            )


def _raised(dump: RunDump) -> str:
    """What a body raised last."""
    for entry in reversed(dump.entries):
        if isinstance(entry.event, AttemptEnded) and entry.event.error:
            error: dict[str, str] = entry.event.error
            return _text(f"; a body raised {error.get('type')}: {error.get('message')}")
    return ""


def _two_acts(effect: EffectView, outcome: Outcome) -> Iterator[Cause]:
    if effect.semantics == Semantics.READ_ONLY or effect.attempts > 1:
        return
    mine = acts_of_effect(effect, outcome.family, outcome.acts)
    standing = [(name, act) for name, act in mine if not act.undone]
    keys = Counter(act.key for _, act in standing)
    if len(standing) > 1 and (effect.semantics != Semantics.IDEMPOTENT or max(keys.values()) > 1):
        names = " and ".join(dict.fromkeys(f"{name}.{act.collection}" for name, act in standing))
        yield Cause(
            Mistake.TWO_ACTS,
            f"{effect.tool} acts {len(standing)} times in one effect ({names}): after a crash between them nobody can "
            "tell how many happened; make it one tool per act",
            effect.tool,
        )


# --- a killed run -------------------------------------------------------------------------------------------------


def causes(outcome: Outcome, good: Good) -> tuple[Cause, ...]:
    """Everything that is wrong with a killed run, the nearest cause first; empty if it holds."""
    dump = outcome.dump
    if outcome.late or dump is None:
        late = _bare(outcome.late, outcome) or "there is no run"
        return (Cause(Mistake.NEVER_ENDS, f"after the kill {late}"),)
    told = _unique(_wrong_acts(outcome, good)) or (_by_contract(outcome) if good.keeps_contract else [])
    stuck = [(kinship, one) for kinship, one in outcome.family.items() if one.run.status == RunStatus.STUCK]
    if stuck:
        told += _unique(_in(kinship, one, _stuck(one)) for kinship, one in stuck)
    elif not told:
        told += _unique(_other(outcome, good))
    told += _of_journal(outcome)
    told += _unique(_asked_again(outcome))
    if outcome.orphans:
        pids = ", ".join(map(str, outcome.orphans))
        told.append(Cause(Mistake.ORPHAN, f"processes that the agent has started live on after it (pid {pids})"))
    return tuple(told)


def _other(outcome: Outcome, good: Good) -> Iterator[Cause]:
    for kinship, cause in differences(outcome, good):
        yield _in(kinship, outcome.family[kinship], cause)


def _why_stuck(dump: RunDump) -> str:
    moves = [entry.event for entry in dump.entries if isinstance(entry.event, RunMoved)]
    return next((move.why for move in reversed(moves) if move.status == RunStatus.STUCK), "")


def _stuck(dump: RunDump) -> Cause:
    why = _why_stuck(dump)
    recorded, asked = sides(why)
    if recorded or asked:
        sentence = (
            f"the replay goes another way than the tape: recorded {_text(recorded)}, now the code asks {_text(asked)}; "
            "something in the agent's own code differs from one drive to the next: take it from run.now(), "
            "run.random(), run.uuid() or run.sample(), or from a decision or tool"
        )
        tool = re.match(r"effect ([^(]+)\(", recorded) or re.match(r"effect ([^(]+)\(", asked)
        return Cause(Mistake.DIVERGED, sentence, tool[1] if tool else "")
    return Cause(Mistake.OTHER_END, f"the run stays STUCK after the kill: {_text(why)}")


def _wrong_acts(outcome: Outcome, good: Good) -> Iterator[Cause]:
    """By the ledgers: too many, too few."""
    for kinship, dump in outcome.family.items():
        for effect in dump.effects:
            cause = None if effect.semantics == Semantics.READ_ONLY else _wrong_act(kinship, effect, outcome, good)
            if cause is not None:
                yield _in(kinship, dump, cause)
    yield from _by_count(outcome, good)


def _wrong_act(kinship: Kinship, effect: EffectView, outcome: Outcome, good: Good) -> Cause | None:
    where = good.where(kinship, effect)
    if where is None:
        return None
    mine = acts_of_effect(effect, outcome.family, outcome.acts)
    if not mine and not told_apart(effect, outcome.family, outcome.acts):
        return None  # counted together, by `_by_count`
    standing = [act for _, act in mine if not act.undone]
    same = sum(act.key == effect.key for act in standing) if where.keyed else len(standing)
    most = 1 if where.keyed and not _twice(where) else where.times
    if same > most and any(absent.key == effect.key for absent in outcome.absents):
        return _false_absent(outcome, effect)
    if same > most and effect.attempts > 1:
        return _ran_again(effect, where, same)
    if same > most and where.times == 1:
        return Cause(
            Mistake.DOUBLED,
            f"{where.upstream} holds {same} acts of one {effect.tool}, the journal allows {most}",
            effect.tool,
        )
    if effect.status == EffectStatus.CONFIRMED and not mine and effect.resolution != Resolution.DECIDED:
        return _never_acted(outcome.family[kinship], effect, where)
    return None


def _by_contract(outcome: Outcome) -> list[Cause]:
    """The net under the rest: the contract, key by key, as the console counts it."""
    dumps = outcome.family.values()
    # A key that a tool has made from its own is its affair.
    own = {effect.key for dump in dumps for effect in dump.effects}
    undone = {duty.effect_key for dump in dumps for duty in dump.obligations if duty.status == ObligationStatus.DONE}
    told = [
        Cause(
            Mistake.NOT_UNDONE,
            f"the compensation of {tool} has run, but {line.name} still holds the act: it does not undo what the tool "
            "does",
            tool,
        )
        for line in outcome.contract
        for key in line.offenders
        if key in undone and (tool := key.rpartition("/")[2])
    ]
    return told or [
        Cause(
            Mistake.DOUBLED if line.acts > line.confirmed else Mistake.LOST,
            f"{line.name} does not hold what the journal says: {line.text()}",
        )
        for line in outcome.contract
        if any(key in own for key in line.offenders)
    ]


def _twice(where: ToolActs) -> bool:
    return where.times > 1 and not where.derived


def _ran_again(effect: EffectView, where: ToolActs, same: int) -> Cause:
    count = f"{same} acts stand at {where.upstream}"
    if effect.semantics == Semantics.IDEMPOTENT and not where.keyed:
        return Cause(
            Mistake.NO_KEY,
            f"{effect.tool} is declared idempotent and ran again, but it sends no idempotency key: {count}; send "
            "tape.idempotency_key() with the request, or declare it non_idempotent with a look-up",
            effect.tool,
        )
    if effect.semantics == Semantics.IDEMPOTENT:
        return Cause(
            Mistake.KEY_IGNORED,
            f"{effect.tool} is declared idempotent and ran again with the same key, but {where.upstream} does not "
            f"honour the key: {count}; declare it non_idempotent with a look-up",
            effect.tool,
        )
    if not where.keyed:
        return Cause(
            Mistake.NO_KEY,
            f"{effect.tool} ran again although it had acted: {count}; it sends no idempotency key, and its look-up did "
            "not find the act: send tape.idempotency_key() with the request, and look for that",
            effect.tool,
        )
    return Cause(
        Mistake.DOUBLED, f"{effect.tool} ran again although it had acted: {count}, the journal allows 1", effect.tool
    )


def _false_absent(outcome: Outcome, effect: EffectView) -> Cause:
    absent = next(absent for absent in outcome.absents if absent.key == effect.key)
    if absent.seen_after_us is None:
        return Cause(
            Mistake.LOOK_UP_LIES,
            f"the look-up of {effect.tool} says absent although {absent.upstream} holds the act, then and later: it "
            "does not look for what the tool does; a second act followed",
            effect.tool,
        )
    return Cause(
        Mistake.LOOK_UP_LAGS,
        f"the look-up of {effect.tool} lags: {absent.upstream} had acted, it said absent and found the act only later; "
        "a second act followed; declare a settle_delay that is longer than the lag",
        effect.tool,
    )


def _never_acted(dump: RunDump, effect: EffectView, where: ToolActs) -> Cause:
    if _said(dump, effect.key) == Answer.PRESENT:
        return Cause(
            Mistake.LOOK_UP_LIES,
            f"the look-up of {effect.tool} says present although {where.upstream} holds no such act: the act is lost; "
            "let it answer only for this effect's key",
            effect.tool,
        )
    return Cause(
        Mistake.LOST,
        f"{effect.tool} is CONFIRMED, but {where.upstream} holds no act of it: the act is lost",
        effect.tool,
    )


def _said(dump: RunDump, key: str) -> str:
    """The last answer of the look-up for this effect."""
    answers = [
        entry.event.answer for entry in dump.entries if isinstance(entry.event, Observed) and entry.event.key == key
    ]
    return answers[-1] if answers else ""


def _by_count(outcome: Outcome, good: Good) -> Iterator[Cause]:
    """What carries no key of Tape's can only be counted."""
    every = [(kinship, dump, effect) for kinship, dump in outcome.family.items() for effect in dump.effects]
    if outcome.status != good.status or _effects(outcome.family) != _effects(good.family):
        return
    if any(effect.resolution in UNCERTAIN for _, _, effect in every):
        return
    now = standing_of(outcome.acts)
    again = [(each, where) for each in every if _again(*each[1:]) and (where := good.acts_of(each[2].tool))]
    for name, collection in sorted({*now, *good.standing}):
        was, found = good.standing.get((name, collection), 0), now.get((name, collection), 0)
        blamed = [(each, where) for each, where in again if (where.upstream, where.collection) == (name, collection)]
        if found == was or not blamed or any(where.keyed and not _twice(where) for _, where in blamed):
            continue
        (kinship, dump, effect), where = blamed[0]
        if found > was and not _twice(where):
            yield _in(kinship, dump, _ran_again(effect, where, found))
        elif found < was:
            yield _in(kinship, dump, _never_acted(dump, effect, where))


def _again(dump: RunDump, effect: EffectView) -> bool:
    """Whether the effect was tried, or asked about, after its first body."""
    return effect.attempts > 1 or bool(_said(dump, effect.key))


def _effects(family: Family) -> set[tuple[Kinship, str]]:
    return {(kinship, place_of(effect.key)) for kinship, dump in family.items() for effect in dump.effects}


# --- the journal ----------------------------------------------------------------------------------------------------


def _of_journal(outcome: Outcome) -> list[Cause]:
    return [Cause(Mistake.JOURNAL, f"the journal does not hold together: {_text(what)}") for what in outcome.findings]


def _asked_again(outcome: Outcome) -> Iterator[Cause]:
    """A model is asked again only for a reply that a death has taken: once per death."""
    for kinship, dump in outcome.family.items():
        deaths = sum(isinstance(entry.event, PointReached) for entry in dump.entries)
        asked = Counter(entry.event.index for entry in dump.entries if isinstance(entry.event, ModelAsked))
        for index, times in asked.items():
            if times > 1 + deaths:
                sentence = f"the model was asked {times} times for decision {index}, with {deaths} deaths"
                yield _in(kinship, dump, Cause(Mistake.ASKED_AGAIN, sentence))


def _unique(causes: Iterable[Cause]) -> list[Cause]:
    return list(dict.fromkeys(causes))


def _bare(text: str, outcome: Outcome) -> str:
    """Without the run's id: the next trial says the same."""
    return text.replace(outcome.run_id, "the run") if outcome.run_id else text


def _text(value: object) -> str:
    return show(str(value), 160)
