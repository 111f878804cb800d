"""One run: deaths, stand-ins and time that a test orders, and what it is told."""

from __future__ import annotations

from tests.pytest_plugin.suite import Suite

TESTS = """
import pytest
from tape.testing import CrashAt, RunResult, TapeClock, TapeRun, TapeUpstream


def test_good(tape_run: TapeRun, tape_upstream: TapeUpstream):
    result = tape_run("pay invoice 7", agent="treasury", within=60)
    assert isinstance(result, RunResult)
    assert (result.status, result.result, result.error) == ("TERMINAL", "The invoice is paid.", "")
    assert (result.decisions, result.asks, result.leases, result.deaths) == (3, 3, 1, 0)
    effect = result.effect("wire_money")
    assert result.effects == (effect,)
    assert (effect.status, effect.resolution, effect.attempts) == ("CONFIRMED", "returned", 1)
    assert effect.args == {"to": "ACME", "amount_minor": 12500}
    assert effect.result["to"] == "ACME"
    assert result.entries[0].event.input == "pay invoice 7"
    assert result.journal.exists()
    assert result.faults() == ()
    result.assert_contract()
    (act,) = tape_upstream("bank").acts("wires")
    assert act.key == effect.key and act.body["to"] == "ACME"
    assert result.upstream["bank"].all() == (act,)
    assert tape_upstream("bank").count("coins") == 0


def test_two_deaths(tape_run: TapeRun, tape_upstream: TapeUpstream, crash_at: CrashAt):
    crash_at("effect.acted", tool="wire_money")
    crash_at("observe.answered")
    result = tape_run("pay invoice 7", within="60s")
    assert result.status == "TERMINAL" and result.deaths == 2
    assert result.effect("wire_money").resolution == "observed"
    assert tape_upstream("bank").count("wires") == 1


@pytest.mark.parametrize("signal, deaths, leases", [("TERM", 1, 2), ("STOP", 0, 2), ("LOST", 0, 1)])
def test_other_deaths(tape_run, tape_upstream, crash_at, signal, deaths, leases):
    crash_at("decision.recorded", decision=1, signal=signal)
    result = tape_run("pay invoice 7", within=60)
    assert (result.status, result.deaths, result.leases) == ("TERMINAL", deaths, leases)
    assert tape_upstream("bank").count("wires") == 1


def test_the_second_pass(tape_run, crash_at):
    crash_at("decision.asking", nth=2)
    crash_at("timer.set", required=False)
    result = tape_run("pay invoice 7", within=60)
    (reached,) = [entry.event for entry in result.entries if entry.event.kind == "point_reached"]
    before = [entry.event.kind for entry in result.entries]
    assert before[: before.index("point_reached")].count("decision") == 1


def test_an_answer_that_is_lost(tape_run, tape_upstream):
    bank = tape_upstream("bank").faults([{"kind": "lose_answer", "nth": 1}]).options(latency="5ms")
    result = tape_run("pay invoice 7", within=60)
    assert result.effect("wire_money").resolution == "observed"
    assert bank.count("wires") == 1


def test_two_runs_are_apart(tape_run, tape_upstream, crash_at):
    crash_at("effect.begun")
    one = tape_run("pay invoice 7", within=60)
    two = tape_run("pay invoice 8", within=60)
    assert (one.deaths, two.deaths) == (1, 0)
    assert one.journal != two.journal
    assert one.upstream["bank"].count() == two.upstream["bank"].count() == tape_upstream("bank").count() == 1


@pytest.mark.tape_project("../other")
@pytest.mark.parametrize("how", ["skip", "advance"])
def test_time(tape_run, tape_clock: TapeClock, how):
    if how == "skip":
        tape_clock.skip_timers()
    else:
        tape_clock.advance("1h")
        tape_clock.advance("2h")
    result = tape_run("x", within=60)
    assert (result.status, result.result, result.seconds < 60) == ("TERMINAL", "slept", True)


@pytest.mark.tape_project("../other")
def test_time_that_nobody_puts_forward(tape_run):
    tape_run("x", within=3)
"""

OTHER = """
import tape

@tape.agent
async def sleeper(run: tape.Run, task: str) -> str:
    await run.sleep(3600)
    await run.sleep(7200)
    return "slept"
"""


def test_what_a_test_orders_and_is_told(suite: Suite) -> None:
    suite.write(TESTS)
    suite.write("name: other\nagent: other_agent:sleeper\n", "other/tape.yaml")
    suite.write(OTHER, "other/other_agent.py")
    ran = suite.run()
    assert ran.failed == ["test_time_that_nobody_puts_forward"], ran.output
    late = ran.said["test_time_that_nobody_puts_forward"]
    assert "did not come to rest within 3 s: it is WAITING" in late
    assert "tape_clock.skip_timers() puts time forward to its timer" in late
    # A journal is kept for whoever looks into a failure, and for nobody else.
    (kept,) = suite.journals()
    assert str(kept) in late or str(kept) in ran.output
