"""The resolution table over its whole input product, against an oracle written from contract.md section 4."""

from __future__ import annotations

import itertools
from enum import StrEnum

from tape.core.kernel.resolution import RULES, Answer, Case, OnUnknown, Semantics, Step, effective, resolve
from tests.kernel.oracle import contract

BOOLS = (False, True)
PRODUCT = [
    Case(*values)
    for values in itertools.product(Semantics, BOOLS, Answer, BOOLS, BOOLS, BOOLS, BOOLS, BOOLS, OnUnknown)
]


def said(case: Case) -> tuple[str, str]:
    facts = {name: getattr(case, name) for name in Case.__dataclass_fields__}
    return contract(**{name: str(value) if isinstance(value, StrEnum) else value for name, value in facts.items()})


def test_product_is_whole() -> None:
    assert len(PRODUCT) == 3 * 2 * 5 * 2**5 * 2


def test_exactly_one_rule_matches_each_case() -> None:
    for case in PRODUCT:
        matching = [(rule.row, rule.step) for rule in RULES if rule.matches(case)]
        assert len(matching) == 1, (case, matching)


def test_every_case_is_resolved_as_the_contract_says() -> None:
    for case in PRODUCT:
        rule = resolve(case)
        assert (rule.row, rule.step.value) == said(case), case


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
