"""What is used wrongly is one line in the report, without a traceback."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.suite import Suite

# name, body, what the report says
USES = [
    ("point", 'crash_at("effect.actd")', "no crash point is called 'effect.actd'; did you mean effect.acted?"),
    ("signal", 'crash_at("effect.acted", signal="HUP")', "no death is called 'HUP'; there are KILL, TERM, STOP, LOST"),
    (
        "hook",
        'crash_at("observe.answered", signal="LOST")',
        "on the recovery's own path only KILL can be dealt, not LOST",
    ),
    ("own", 'crash_at("at:x", signal="STOP")', "at a point of your own only KILL and TERM can be dealt, not STOP"),
    ("nth", 'crash_at("effect.acted", nth=0)', "nth is 0; passes are counted from 1"),
    ("nothing", 'crash_at("effect.acted")', "crash_at was ordered, but the test never called tape_run()"),
    ("standin", 'tape_upstream("bnk")', "no stand-in 'bnk' in tape.yaml; did you mean bank?"),
    (
        "option",
        'tape_upstream("bank").options(honors_key=True)',
        "unknown option 'honors_key'; did you mean 'honours_key'?",
    ),
    ("fault", 'tape_upstream("bank").faults([{"kind": "late"}])', "'late'"),
    ("early", 'tape_upstream("bank").count("wires")', "tape_upstream('bank') holds nothing yet: call tape_run first"),
    ("agent", 'tape_run("x", agent="tresury")', "the project has no agent 'tresury'; did you mean treasury?"),
    ("input", "tape_run({1})", "tape_run: the input is not JSON"),
    ("within", 'tape_run("x", within="soon")', "tape_run: within: 'soon' is no duration"),
    ("far", 'tape_clock.advance("far")', "tape_clock.advance: 'far' is no duration"),
    (
        "both",
        'crash_at("effect.acted", signal="STOP"); tape_clock.advance("1h")',
        "crash_at with STOP puts time forward itself: use tape_clock.skip_timers() instead of advance",
    ),
    ("late", 'tape_run("x"); crash_at("effect.acted")', "crash_at('effect.acted') comes after tape_run"),
    ("late_clock", 'tape_run("x"); tape_clock.skip_timers()', "tape_clock.skip_timers comes after tape_run"),
    (
        "late_bank",
        'tape_run("x"); tape_upstream("bank").options()',
        "tape_upstream('bank').options comes after tape_run",
    ),
    ("no_timer", 'tape_clock.advance("1h"); tape_run("x")', "tape_clock.advance: the run set no timer for it"),
    (
        "unreached",
        'crash_at("effect.acted", tool="wire_mony"); tape_run("x")',
        "crash_at('effect.acted', tool='wire_mony'): the run never came there; it passed lease.granted, ",
    ),
    ("no_effect", 'tape_run("x").effect("pay")', "the run has 0 effects of 'pay', not one; its effects: wire_money"),
]


def test_each_mistake_is_one_line(suite: Suite) -> None:
    head = "def test_{}(tape_run, tape_upstream, tape_clock, crash_at):\n    {}\n"
    suite.write("\n\n".join(head.format(name, body) for name, body, _ in USES))
    ran = suite.run()
    assert ran.failed == [f"test_{name}" for name, _, _ in USES], ran.output
    for name, _, text in USES:
        said = ran.said[f"test_{name}"]
        assert text in said, said
        assert "Traceback" not in said and "During handling" not in said and ".py:" not in said, said
        (line,) = [line for line in said.splitlines() if line.strip() and not line.startswith("failure: ")]
        assert text in line


@pytest.mark.parametrize(
    ("mark", "text"),
    [
        ("tape_project('nowhere')", "tape_project: there is no folder"),
        ("tape_project()", "tape_project takes one path, that of the project's folder"),
        ("tape_project('/')", "no tape.yaml in '/' or above; go to a project"),
        ("tape_project('../several')", "the project has several agents: say agent=, one of one, other"),
    ],
)
def test_a_project_that_is_none(suite: Suite, mark: str, text: str) -> None:
    suite.write("name: s\nagents: {one: x:one, other: x:other}\n", "several/tape.yaml")
    suite.write(f"import pytest\n\n@pytest.mark.{mark}\ndef test_it(tape_run):\n    tape_run(1)\n")
    ran = suite.run()
    assert ran.code == 1
    assert text in ran.said["test_it"]
    assert ".py:" not in ran.said["test_it"], ran.output


BROKEN = "app/agent.py:3: app.agent cannot be loaded: ModuleNotFoundError: No module named 'jsn'"


@pytest.mark.parametrize(
    ("arguments", "takes", "text"),
    [
        ("'treasury'", "tape_run", "give its arguments by name: agent, input, deaths, pairs"),
        ("inpt=1", "tape_run", "it has no argument 'inpt'; there are agent, input, deaths, pairs"),
        ("deaths='KILL'", "tape_run", """deaths is 'KILL'; write a tuple such as ("KILL", "LOST")"""),
        ("deaths=('HUP',)", "tape_run", "no death is called 'HUP'; there are KILL, TERM, STOP, LOST"),
        ("input={1}", "tape_run", "the input is not JSON"),
        ("agent='tresury'", "tape_run", "the project has no agent 'tresury'; did you mean treasury?"),
        ("", "crash_at", "take the fixture tape_run, and call it"),
    ],
)
def test_a_mark_that_is_wrong_is_a_line_of_the_collection(suite: Suite, arguments: str, takes: str, text: str) -> None:
    suite.write(
        f"import pytest\n\n@pytest.mark.tape_every_crash_point({arguments})\ndef test_it({takes}):\n    tape_run()\n"
    )
    ran = suite.run()
    assert ran.code == 2
    assert f"\ntest_it: tape_every_crash_point: {text}" in ran.output, ran.output
    assert "Traceback" not in ran.output


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_project_that_cannot_be_loaded(suite: Suite, workers: tuple[str, ...]) -> None:
    text = suite.agent_file.read_text("utf-8")
    suite.agent_file.write_text(text.replace("import json", "import jsn", 1), "utf-8")
    suite.write("import pytest\n\n@pytest.mark.tape_every_crash_point()\ndef test_it(tape_run):\n    tape_run()\n")
    ran = suite.run(*workers)
    assert ran.code in (1, 2)
    assert f"\ntest_it: tape_every_crash_point: {BROKEN}\n" in ran.output, ran.output
    assert "Traceback" not in ran.output
    suite.write("def test_it(tape_run):\n    tape_run(1)\n")
    ran = suite.run(*workers)
    assert BROKEN in ran.said["test_it"]


def test_an_agent_that_gets_stuck_without_a_death_has_no_crash_points(suite: Suite) -> None:
    text = suite.agent_file.read_text("utf-8").replace("@wire_money.observe\n", "")
    suite.agent_file.write_text(
        text.replace("    wire = bank(", "    raise OSError('no line')\n    wire = bank("), "utf-8"
    )
    suite.write("import pytest\n\n@pytest.mark.tape_every_crash_point(input='x')\ndef test_it(tape_run):\n    pass\n")
    ran = suite.run()
    line = "\ntest_it: tape_every_crash_point: the run is STUCK although nothing is killed: "
    assert line in ran.output and "Traceback" not in ran.output, ran.output


def test_a_mark_without_a_run_proves_nothing(suite: Suite) -> None:
    suite.write("import pytest\n\n@pytest.mark.tape_every_crash_point()\ndef test_it(tape_run):\n    pass\n")
    ran = suite.run("-k", "lease")
    assert "the test never called tape_run(): nothing was killed" in ran.said[ran.failed[0]]
