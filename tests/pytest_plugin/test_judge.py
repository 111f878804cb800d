"""A run is judged by its ledgers although the test asks for nothing."""

from __future__ import annotations

from tests.pytest_plugin.suite import Suite

NO_KEY = "wire_money is declared idempotent and ran again, but it sends no idempotency key: 2 acts stand at bank"

TESTS = """
import pytest


def test_lenient(tape_run, crash_at):
    crash_at("effect.acted")
    tape_run("pay invoice 7", within=60)


def test_asked(tape_run, crash_at):
    crash_at("effect.acted")
    tape_run("pay invoice 7", within=60, judge=False).assert_contract()


def test_not_judged(tape_run, crash_at):
    crash_at("effect.acted")
    assert tape_run("pay invoice 7", within=60, judge=False).faults()


def test_own_assertion(tape_run, crash_at):
    crash_at("effect.acted")
    assert tape_run("pay invoice 7", within=60).deaths == 7


@pytest.mark.xfail(strict=True)
def test_expected(tape_run, crash_at):
    crash_at("effect.acted")
    tape_run("pay invoice 7", within=60)


def test_killed_elsewhere(tape_run, crash_at):
    crash_at("decision.recorded")
    tape_run("pay invoice 7", within=60)
"""


def test_a_run_that_pays_twice_fails_its_test(suite: Suite) -> None:
    suite.make_wrong()
    suite.write(TESTS)
    ran = suite.run()
    assert ran.code == 1
    assert ran.failed == ["test_lenient", "test_asked", "test_own_assertion", "test_expected"], ran.output
    for name in ("test_lenient", "test_asked"):
        assert NO_KEY in ran.said[name]
        assert "Traceback" not in ran.said[name] and ".py:" not in ran.said[name], ran.said[name]
    assert "assert 1 == 7" in ran.said["test_own_assertion"]
    assert "skipped" in ran.said["test_expected"]
    assert ran.output.count(NO_KEY) >= 3, "and beside a failed assertion"


def test_what_is_lost_is_told(suite: Suite) -> None:
    """A look-up that always says present."""
    text = suite.agent_file.read_text("utf-8")
    lies = '    return tape.present({"wire_id": "w", "to": "ACME", "amount_minor": 12500})\n\n\ndef unused(effect):\n'
    head, found, tail = text.partition("def find_wire(effect: tape.Effect) -> tape.Observation:\n")
    assert found
    suite.agent_file.write_text(head + found + lies + tail, "utf-8")
    suite.write('def test_it(tape_run, crash_at):\n    crash_at("effect.begun")\n    tape_run("x", within=60)\n')
    ran = suite.run()
    assert ran.failed == ["test_it"]
    assert "the look-up of wire_money says present although bank holds no such act: the act is lost" in ran.output
