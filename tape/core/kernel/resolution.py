"""What happens to an open effect: contract.md section 4 as one exhaustive decision table.

It applies after a death, an expiry, a time-out, or an ambiguous exception of a live body. `resolve` takes a
`Case` (everything the decision depends on) and returns the row's label and the next `Step`. Exactly one row
matches every possible case; `RULES` is the table, the tests walk its whole input product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Semantics(StrEnum):
    READ_ONLY = "read_only"
    IDEMPOTENT = "idempotent"
    NON_IDEMPOTENT = "non_idempotent"


class Dispatch(StrEnum):
    INLINE = "inline"
    OUTBOX = "outbox"


class OnUnknown(StrEnum):
    ASK = "ask"
    COMPENSATE = "compensate"


class Answer(StrEnum):
    """A look-up's answer; NONE means it has not been asked since the last attempt."""

    NONE = "none"
    PRESENT = "present"
    ABSENT = "absent"
    DUPLICATE = "duplicate"
    UNCLEAR = "unclear"


class Step(StrEnum):
    """What is to be done next, and by whom."""

    AGAIN = "again"  # the body runs again: the agent on re-drive, or the outbox by re-dispatch
    ASK = "ask"  # the reconciler asks the look-up
    ASK_LATER = "ask_later"  # the same, after a back-off or the rest of the settle delay
    CONFIRM = "confirm"  # CONFIRMED with the observed result
    CONFIRM_FIRST = "confirm_first"  # CONFIRMED with the first act; the others are surplus
    COMPENSATE = "compensate"  # undone, then FAILED
    PERSON = "person"  # STUCK: only a person can know


class Resolution(StrEnum):
    """How an effect came to its end; stands in `effect_ended`."""

    RETURNED = "returned"
    REJECTED = "rejected"
    OBSERVED = "observed"
    REDISPATCHED = "redispatched"
    COMPENSATED = "compensated"
    DECIDED = "decided"
    DROPPED = "dropped"  # never dispatched, because its run failed or was cancelled before


class Writer(StrEnum):
    AGENT = "agent"
    RECONCILER = "reconciler"
    OUTBOX = "outbox"
    COMPENSATION = "compensation"
    TIMERS = "timers"
    RECOVERY = "recovery"
    OPERATOR = "operator"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Case:
    """All that the decision depends on.

    `authoritative`: the look-up's `absent` can be trusted once the settle delay is over. `settled`: that delay is
    over, counted from the certain end of the latest attempt. `body_over`: every earlier body is certainly over.
    `key_expired`: the upstream has forgotten the key. `asks_left`: the back-off for unclear answers is not used up.
    """

    semantics: Semantics
    look_up: bool
    answer: Answer = Answer.NONE
    authoritative: bool = False
    settled: bool = False
    body_over: bool = True
    key_expired: bool = False
    asks_left: bool = True
    on_unknown: OnUnknown = OnUnknown.ASK


@dataclass(frozen=True, slots=True)
class Rule:
    row: str
    step: Step
    matches: Callable[[Case], bool]
    says: str


def effective(case: Case) -> Semantics:
    """An idempotent tool whose key has run out at the upstream is treated as non_idempotent."""
    if case.semantics is Semantics.IDEMPOTENT and case.key_expired:
        return Semantics.NON_IDEMPOTENT
    return case.semantics


def _is(semantics: Semantics, look_up: bool, *answers: Answer) -> Callable[[Case], bool]:
    return lambda case: (
        effective(case) is semantics and case.look_up is look_up and (not answers or case.answer in answers)
    )


_I, _N = Semantics.IDEMPOTENT, Semantics.NON_IDEMPOTENT


def _sure(case: Case) -> bool:
    return case.authoritative and case.body_over


def _absent(case: Case) -> bool:
    return _is(_N, True, Answer.ABSENT)(case)


def _unclear(case: Case) -> bool:
    return _is(_N, True, Answer.UNCLEAR)(case) or (_absent(case) and not _sure(case))


def _duplicate(case: Case) -> bool:
    return case.semantics is not Semantics.READ_ONLY and case.look_up and case.answer is Answer.DUPLICATE


def _undoes(case: Case) -> bool:
    return _is(_N, False)(case) and case.on_unknown is OnUnknown.COMPENSATE


RULES: tuple[Rule, ...] = (
    Rule("R-again", Step.AGAIN, lambda c: c.semantics is Semantics.READ_ONLY, "it only reads: the body runs again"),
    Rule(
        "I-again",
        Step.AGAIN,
        lambda c: effective(c) is _I and not c.look_up,
        "the upstream honours the key: the body runs again with the same key",
    ),
    Rule("I-ask", Step.ASK, _is(_I, True, Answer.NONE), "the look-up is asked"),
    Rule("I-present", Step.CONFIRM, _is(_I, True, Answer.PRESENT), "the upstream has it: confirmed by look-up"),
    Rule("I-absent", Step.AGAIN, _is(_I, True, Answer.ABSENT), "not there: the body runs again with the same key"),
    Rule(
        "I-unclear",
        Step.ASK_LATER,
        lambda c: _is(_I, True, Answer.UNCLEAR)(c) and c.asks_left,
        "no clear answer yet: the look-up is asked again",
    ),
    Rule(
        "I-unclear",
        Step.AGAIN,
        lambda c: _is(_I, True, Answer.UNCLEAR)(c) and not c.asks_left,
        "no clear answer to be had: the body runs again with the same key",
    ),
    Rule("N-ask-look-up", Step.ASK, _is(_N, True, Answer.NONE), "the look-up is asked"),
    Rule("N-present", Step.CONFIRM, _is(_N, True, Answer.PRESENT), "the upstream has it: confirmed by look-up"),
    Rule(
        "N-absent",
        Step.AGAIN,
        lambda c: _absent(c) and _sure(c) and c.settled,
        "certainly not there, and the settle delay is over: the body runs again with the same key",
    ),
    Rule(
        "N-settling",
        Step.ASK_LATER,
        lambda c: _absent(c) and _sure(c) and not c.settled,
        "not there yet: asked again when the settle delay is over",
    ),
    Rule(
        "N-unclear",
        Step.ASK_LATER,
        lambda c: _unclear(c) and c.asks_left,
        "no answer that can be trusted yet: the look-up is asked again",
    ),
    Rule(
        "N-unclear",
        Step.PERSON,
        lambda c: _unclear(c) and not c.asks_left,
        "no answer that can be trusted: a person must look",
    ),
    Rule("X-duplicate", Step.CONFIRM_FIRST, _duplicate, "more than one act: the first counts, the rest is surplus"),
    Rule(
        "N-undo",
        Step.COMPENSATE,
        lambda c: _undoes(c) and c.body_over,
        "nobody can be asked: the act is undone, whether or not it happened",
    ),
    Rule(
        "N-undo",
        Step.PERSON,
        lambda c: _undoes(c) and not c.body_over,
        "nobody can be asked, and the body may still act: an undo could come before the act, so a person must look",
    ),
    Rule(
        "N-ask",
        Step.PERSON,
        lambda c: effective(c) is _N and not c.look_up and c.on_unknown is OnUnknown.ASK,
        "nobody can be asked and the upstream honours no key: only a person can know",
    ),
)


def resolve(case: Case) -> Rule:
    """The first rule that matches; the rules cover every case (a test walks the whole product)."""
    for rule in RULES:
        if rule.matches(case):
            return rule
    raise AssertionError(f"no row of the resolution table matches {case}")
