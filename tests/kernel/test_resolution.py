"""The resolution table over its whole input product, against contract.md section 4 written as plain code."""

from __future__ import annotations

import itertools

from tape.core.kernel.resolution import RULES, Answer, Case, OnUnknown, Semantics, Step, effective, resolve

BOOLS = (False, True)
PRODUCT = [
    Case(*values)
    for values in itertools.product(Semantics, BOOLS, Answer, BOOLS, BOOLS, BOOLS, BOOLS, BOOLS, OnUnknown)
]


def contract(case: Case) -> tuple[str, str]:
    """Row and step as the contract's table has them; not asked yet and settling, in its prose, have names here."""
    kind = case.semantics.value
    if kind == "idempotent" and case.key_expired:
        kind = "non_idempotent"  # "whose key_lifetime has run out ... is treated as non_idempotent"

    if kind == "read_only":
        return "R-again", "again"

    if not case.look_up:
        if kind == "idempotent":
            return "I-again", "again"
        return ("N-undo", "compensate") if case.on_unknown.value == "compensate" else ("N-ask", "person")

    if case.answer.value == "duplicate":
        return "X-duplicate", "confirm_first"
    letter = "I" if kind == "idempotent" else "N"
    if case.answer.value == "present":
        return f"{letter}-present", "confirm"
    if case.answer.value == "none":
        return ("I-ask" if letter == "I" else "N-ask-look-up"), "ask"

    if letter == "I":
        if case.answer.value == "absent":
            return "I-absent", "again"
        return "I-unclear", "ask_later" if case.asks_left else "again"

    certain_absence = case.answer.value == "absent" and case.authoritative and case.body_over
    if certain_absence:
        return ("N-absent", "again") if case.settled else ("N-settling", "ask_later")
    return "N-unclear", "ask_later" if case.asks_left else "person"


def test_product_is_whole() -> None:
    assert len(PRODUCT) == 3 * 2 * 5 * 2**5 * 2


def test_exactly_one_rule_matches_each_case() -> None:
    for case in PRODUCT:
        matching = [(rule.row, rule.step) for rule in RULES if rule.matches(case)]
        assert len(matching) == 1, (case, matching)


def test_every_case_is_resolved_as_the_contract_says() -> None:
    for case in PRODUCT:
        rule = resolve(case)
        assert (rule.row, rule.step.value) == contract(case), case


def test_every_rule_is_needed() -> None:
    used = {id(resolve(case)) for case in PRODUCT}
    assert used == {id(rule) for rule in RULES}


def test_a_rule_of_a_row_says_what_it_does() -> None:
    assert all(rule.says and rule.says[0].islower() and not rule.says.endswith(".") for rule in RULES)
    assert len({(rule.row, rule.step) for rule in RULES}) == len(RULES)


def test_no_second_attempt_of_a_non_idempotent_body_on_a_guess() -> None:
    for case in PRODUCT:
        if effective(case) is Semantics.NON_IDEMPOTENT and resolve(case).step is Step.AGAIN:
            assert case.look_up and case.answer is Answer.ABSENT, case
            assert case.authoritative and case.settled and case.body_over, case


def test_nobody_is_asked_without_a_look_up() -> None:
    for case in PRODUCT:
        if resolve(case).step in (Step.ASK, Step.ASK_LATER):
            assert case.look_up, case
