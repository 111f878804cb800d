"""Each mistake that a user makes is convicted with the sentence that says so; its correct twin is acquitted."""

from __future__ import annotations

import pytest

from tests.prove.conftest import Prove, assert_acquitted, cells, sentences

pytestmark = pytest.mark.slow


def test_keys(prove: Prove) -> None:
    proofs = prove("keys", "careless", "careful")
    told = sentences(proofs["careless"])
    assert set(told) == {("no-key-sent", "order_coins"), ("key-not-honoured", "pay")}
    assert "order_coins is declared idempotent" in told["no-key-sent", "order_coins"]
    assert "sends no idempotency key: 2 acts stand at mint" in told["no-key-sent", "order_coins"]
    assert "bank does not honour the key: 2 acts stand at bank" in told["key-not-honoured", "pay"]
    for mistake, tool in told:
        assert cells(proofs["careless"], mistake, tool) == {f"effect.acted {tool} KILL", f"effect.acted {tool} STOP"}
    assert_acquitted(proofs["careful"])


def test_look_ups(prove: Prove) -> None:
    proofs = prove("look_ups", "trusting", "thorough")
    told = sentences(proofs["trusting"])
    assert set(told) == {
        ("look-up-lies", "wire"),
        ("look-up-lies", "invoice"),
        ("look-up-lags", "book"),
        ("other-result", "reserve"),
    }
    assert "says absent although bank holds the act, then and later" in told["look-up-lies", "wire"]
    assert "says present although bank holds no such act: the act is lost" in told["look-up-lies", "invoice"]
    assert "said absent and found the act only later" in told["look-up-lags", "book"]
    assert "declare a settle_delay that is longer than the lag" in told["look-up-lags", "book"]
    assert "the look-up of reserve finds another result than the body returns" in told["other-result", "reserve"]
    assert cells(proofs["trusting"], "look-up-lies", "invoice") == {
        "effect.begun invoice KILL",
        "effect.begun invoice STOP",
    }
    for mistake, tool in set(told) - {("look-up-lies", "invoice")}:
        assert cells(proofs["trusting"], mistake, tool) == {f"effect.acted {tool} KILL", f"effect.acted {tool} STOP"}
    assert_acquitted(proofs["thorough"])


def test_two_acts_in_one_effect(prove: Prove) -> None:
    proofs = prove("two_acts", "hasty", "orderly")
    told = sentences(proofs["hasty"])
    in_good_run = {(cause["mistake"], cause["tool"]) for cause in proofs["hasty"]["good_run"]}
    assert in_good_run == {("two-acts-in-one-effect", "pay_with_fee"), ("two-acts-in-one-effect", "mail_both")}
    assert "acts 2 times in one effect (bank.wires and bank.fees)" in told["two-acts-in-one-effect", "pay_with_fee"]
    assert "acts 2 times in one effect (mint.mails)" in told["two-acts-in-one-effect", "mail_both"]
    assert set(told) == {*in_good_run, ("no-key-sent", "mail_both")}
    assert_acquitted(proofs["orderly"])


def test_results_that_no_tape_can_hold(prove: Prove) -> None:
    proofs = prove("records", "loose", "plain")
    told = sentences(proofs["loose"])
    assert set(told) == {
        ("unrecordable-result", tool) for tool in ("give_object", "give_bytes", "give_nan", "give_much")
    }
    for (_, tool), sentence in told.items():
        assert f"{tool} has acted, but what it returned cannot be recorded" in sentence
    assert "unknown type" in told["unrecordable-result", "give_object"]
    assert "nan is not JSON" in told["unrecordable-result", "give_nan"]
    assert "the limit is 1048576 (1 MiB)" in told["unrecordable-result", "give_much"]
    assert not proofs["loose"]["holds"]
    assert proofs["loose"]["marks"]["wrong"] == 0  # it is the same, killed or not
    assert_acquitted(proofs["plain"])


AFTER = {"effect.begun", "effect.acted", "effect.ended", "run.ending"}


def test_code_that_does_not_fit_its_tape(prove: Prove) -> None:
    proofs = prove("chance", "by_clock", "by_set", "by_file", "by_memory", "by_tape")
    tools = {"by_clock": "stamp", "by_set": "note", "by_file": "note", "by_memory": "note"}
    for agent, tool in tools.items():
        told = sentences(proofs[agent])
        assert f"recorded effect {tool}(" in told["diverged-on-replay", tool]
        assert "take it from run.now(), run.random(), run.uuid() or run.sample()" in told["diverged-on-replay", tool]
        assert {mistake for mistake, _ in told} <= {"diverged-on-replay", "other-result"}
        convicted = {tuple(cell.split()) for cell in cells(proofs[agent], "diverged-on-replay", tool)}
        assert {words[0] for words in convicted} == AFTER
        assert {words[-1] for words in convicted} == {"KILL", "TERM", "STOP"}
    assert "welcome back" in sentences(proofs["by_file"])["diverged-on-replay", "note"]
    assert_acquitted(proofs["by_tape"])


def test_chance_in_the_path(prove: Prove) -> None:
    proof = prove("chance", "by_dice")["by_dice"]
    mistakes = {mistake for mistake, _ in sentences(proof)}
    assert "diverged-on-replay" in mistakes
    assert mistakes <= {"diverged-on-replay", "other-tape", "not-passed"}


def test_acts_that_no_declaration_covers(prove: Prove) -> None:
    proofs = prove("outside", "hasty", "forgetful", "tidy", input="Rome")
    told = sentences(proofs["hasty"])
    assert "rail holds acts that no tool has made (mails)" in told["acts-outside-tools", ""]
    assert "peek is declared read_only, but rail holds an act of it" in told["read-only-acts", "peek"]
    assert "finds another result than the body returns" in told["other-result", "book"]
    assert set(told) == {("acts-outside-tools", ""), ("read-only-acts", "peek"), ("other-result", "book")}
    told = sentences(proofs["forgetful"])
    assert set(told) == {("not-undone", "hire")}
    assert "the compensation of hire has run, but rail still holds the act" in told["not-undone", "hire"]
    assert_acquitted(proofs["tidy"])
