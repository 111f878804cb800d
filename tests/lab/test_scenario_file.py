"""Scenario files: what they mean, that writing and reading are inverse, and that every mistake is one line with its
place."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tape.core.config import Config, parse_config
from tape.core.kernel.errors import UsageError
from tape.core.kernel.events import BY_KIND
from tape.core.kernel.lifecycle import EffectStatus, ObligationStatus, RunStatus
from tape.core.kernel.points import BY_NAME, POINTS, Arm, Death, Stage
from tape.core.kernel.policy import Backoff, LeasePolicy
from tape.core.kernel.resolution import RULES, Resolution, Writer
from tape.core.strict_yaml import MAX_BYTES
from tape.lab.scenario import (
    UNSET,
    BudgetExpect,
    Count,
    EffectExpect,
    Expect,
    ForkExpect,
    How,
    Kill,
    Moment,
    Scenario,
    ScriptedOrder,
    Settings,
    Verb,
)
from tape.lab.scenario_file import check, find_scenarios, parse_scenario, read_scenario, write_scenario

SECOND = 1_000_000
SHOWN = "scenarios/x.yaml"
ONE = Count.exactly(1)
NONE = Count.exactly(0)

FULL = """\
name: the bank accepted, the acknowledgement died with the agent     # required
about: >
  Some prose, that is folded
  over lines.

  And more.
agent: treasury
project: ../agents
input: {"task": "pay invoice 7", amounts: [1, 2.50, -3e2, 0.30000000000000004], urgent: true, note: null}
upstream: {bank: {honours_key: false, latency: 20ms, faults: [{kind: slow, delay: 10ms}]}, mail: }
environment: {MODE: "x", EMPTY: ""}
settings: {lease: {ttl: 400ms, heartbeat: 100ms, stall: 1m}, recovery: {max_crashes: 3, backoff: 50ms..1s}, workers: 2, concurrency: 4}
within: 1m
kill:
  - {at: effect.acted, tool: wire_money, nth: 2, decision: 1, signal: LOST}
  - at: observe.answered
  - {at: at:mine, signal: TERM}
  - {at: decision.recorded, run: trial}
orders:
  - {on: STUCK, do: resolve, tool: wire_money, how: confirm, result: {id: 7}, reason: the bank says so}
  - {on: STUCK, nth: 2, do: resolve, key: -/0/wire_money/undo/1, how: retry}
  - {on: lease_ended, do: thaw}
  - {on: timer_set, do: advance, by: 1.5h}
  - {on: effect.begun, do: cancel}
  - {on: FAILED, do: fork, at: 3, name: trial, input: {task: null}}
  - {on: WAITING, run: trial, do: fork, at: 1, name: second}
  - {on: TERMINAL, run: trial, do: promote, name: real, reason: this is right}
expect:
  status: FAILED
  error: no money
  upstream: {bank.wires: 1}
  keyed: {bank.wires: {max: 1}}
  decisions: 3
  asks: {min: 3, max: 5}
  asked_twice: {min: 1}
  effects:
    wire_money: {status: CONFIRMED, resolution: observed, attempts: 1, count: 1, row: N-present, writer: reconciler}
    1/0/wire_money: {status: UNKNOWN}
  resolutions: [observed, decided]
  obligations: {wire_money: DONE}
  conflicts: 0
  leases: 2
  deaths: 1
  refused: {min: 0, max: 3}
  doubled: 1
  lost: {min: 1, max: 2}
  forks:
    trial: {result: null, acts: 0, inherited: 1, quarantined: {min: 1}, void: 1, decisions: 3, asks: 2, leases: 1}
    real: {status: FAILED, error: no money, acts: 1, budget: {usd: {spent: 0.02}}}
"""  # noqa: E501


def parse(text: str | bytes) -> Scenario:
    return parse_scenario(text.encode() if isinstance(text, str) else text, SHOWN, Path(SHOWN))


def refusals(text: str | bytes) -> list[str]:
    with pytest.raises(UsageError) as caught:
        parse(text)
    lines = str(caught.value).splitlines()
    assert all(line.isprintable() and line.startswith(f"{SHOWN}:") and len(line) < 600 for line in lines), lines
    return lines


def project(text: str = "name: p\nagent: app.agent:treasury\nupstream: {bank: {latency: 5ms}}\n") -> Config:
    return parse_config(text.encode(), Path("/project/tape.yaml"), "tape.yaml")


# ------------------------------------------------------------------------------------------------ what it means


def test_a_name_is_enough() -> None:
    scenario = parse("name: nothing dies\n")
    assert scenario == Scenario(name="nothing dies")
    assert scenario.expect == Expect(status=RunStatus.TERMINAL, doubled=NONE, lost=NONE)
    assert (scenario.within_us, scenario.input) == (30 * SECOND, None)


def test_every_key_can_be_set() -> None:
    assert parse(FULL) == Scenario(
        name="the bank accepted, the acknowledgement died with the agent",
        about="Some prose, that is folded over lines.\nAnd more.",
        agent="treasury",
        project="../agents",
        input={
            "task": "pay invoice 7",
            "amounts": [1, 2.5, -300.0, 0.30000000000000004],
            "urgent": True,
            "note": None,
        },
        upstream={
            "bank": {"honours_key": False, "latency": "20ms", "faults": [{"kind": "slow", "delay": "10ms"}]},
            "mail": {},
        },
        environment={"MODE": "x", "EMPTY": ""},
        settings=Settings(400_000, 100_000, 60 * SECOND, 3, Backoff(50_000, SECOND), 2, 4),
        within_us=60 * SECOND,
        kill=(
            Kill("effect.acted", "wire_money", 2, 1, Death.LOST),
            Kill("observe.answered"),
            Kill("at:mine", signal=Death.TERM),
            Kill("decision.recorded", run="trial"),
        ),
        orders=(
            ScriptedOrder(
                "STUCK",
                Verb.RESOLVE,
                tool="wire_money",
                how=How.CONFIRM,
                result={"id": 7},
                reason="the bank says so",
            ),
            ScriptedOrder("STUCK", Verb.RESOLVE, nth=2, key="-/0/wire_money/undo/1", how=How.RETRY),
            ScriptedOrder("lease_ended", Verb.THAW),
            ScriptedOrder("timer_set", Verb.ADVANCE, by_us=5400 * SECOND),
            ScriptedOrder("effect.begun", Verb.CANCEL),
            ScriptedOrder("FAILED", Verb.FORK, at=3, name="trial", input={"task": None}),
            ScriptedOrder("WAITING", Verb.FORK, run="trial", at=1, name="second"),
            ScriptedOrder("TERMINAL", Verb.PROMOTE, run="trial", name="real", reason="this is right"),
        ),
        expect=Expect(
            status=RunStatus.FAILED,
            error="no money",
            upstream={"bank.wires": ONE},
            keyed={"bank.wires": Count(0, 1)},
            decisions=Count.exactly(3),
            asks=Count(3, 5),
            asked_twice=Count(1),
            effects={
                "wire_money": EffectExpect(
                    EffectStatus.CONFIRMED, Resolution.OBSERVED, ONE, ONE, "N-present", Writer.RECONCILER
                ),
                "1/0/wire_money": EffectExpect(EffectStatus.UNKNOWN),
            },
            resolutions=(Resolution.OBSERVED, Resolution.DECIDED),
            obligations={"wire_money": ObligationStatus.DONE},
            conflicts=NONE,
            leases=Count.exactly(2),
            deaths=ONE,
            refused=Count(0, 3),
            doubled=ONE,
            lost=Count(1, 2),
            forks={
                "trial": ForkExpect(
                    result=None,
                    acts=NONE,
                    inherited=ONE,
                    quarantined=Count(1),
                    void=ONE,
                    decisions=Count.exactly(3),
                    asks=Count.exactly(2),
                    leases=ONE,
                ),
                "real": ForkExpect(
                    RunStatus.FAILED, error="no money", acts=ONE, budget={"usd": BudgetExpect(spent=20_000)}
                ),
            },
        ),
    )


def test_words_become_the_kernels_own() -> None:
    scenario = parse(FULL)
    effect = scenario.expect.effects["wire_money"]
    kinds = (scenario.kill[0].signal, scenario.orders[0].do, scenario.expect.status, effect.status, effect.writer)
    assert [type(word) for word in kinds] == [Death, Verb, RunStatus, EffectStatus, Writer]


def test_a_kill_becomes_an_arm_of_its_run() -> None:
    arm = parse(FULL).kill[0].arm("r-1")
    assert arm == Arm(BY_NAME["effect.acted"], Death.LOST, "r-1", "wire_money", 1, nth=2)


def test_an_order_knows_what_it_waits_for() -> None:
    orders = parse(FULL).orders
    assert [order.moment for order in orders] == [
        Moment.STATUS, Moment.STATUS, Moment.ENTRY, Moment.ENTRY, Moment.POINT, *[Moment.STATUS] * 3
    ]  # fmt: skip
    assert orders[4].hold("r-1") == Arm(BY_NAME["effect.begun"], Death.HOLD, "r-1")


def test_null_is_a_result_and_nothing_said_is_none() -> None:
    assert parse("name: x\nexpect: {result: null}\n").expect.result is None
    assert parse("name: x\nexpect: {result: }\n").expect.result is None
    assert parse("name: x\nexpect: {status: }\n").expect.result is UNSET


def test_what_is_left_empty_has_its_default() -> None:
    empty = "name: x\nabout:\nagent: ~\nkill:\norders:\nwithin:\nsettings: {lease: , workers: }\nexpect:\n"
    assert parse(empty) == Scenario(name="x")


def test_a_count_holds_between_its_bounds() -> None:
    assert [n for n in range(6) if Count(1, 3).holds(n)] == [1, 2, 3]
    assert Count(2).holds(10**9) and not Count(2).holds(1)
    assert [str(count) for count in (ONE, Count(1, 3), Count(2))] == ["1", "1 to 3", "at least 2"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7), ("1.0", 1.0), ("-0.5e-3", -0.0005), ("1_000", 1000), ("true", True), ("no", "no"), ("1:30", "1:30"),
        ('"7"', "7"), ('"2024-01-01"', "2024-01-01"), ("'NaN'", "NaN"), ("[]", []), ("{}", {}), ("~", None),
        ("9223372036854775807", 2**63 - 1), ("0.1234567890123456789", 0.1234567890123456789), ("1e300", 1e300),
    ],
)  # fmt: skip
def test_an_input_is_json_to_the_last_digit(text: str, value: Any) -> None:
    found = parse(f"name: x\ninput: {text}\n").input
    assert repr(found) == repr(value)


# ------------------------------------------------------------------------------------------------ lines and projects


def test_every_value_keeps_its_line() -> None:
    scenario = parse(FULL)
    assert scenario.place("kill", 1, "at") == f"{SHOWN}:16"
    assert scenario.place("expect", "effects", "1/0/wire_money") == f"{SHOWN}:38"
    assert scenario.place("expect", "effects", "no such") == f"{SHOWN}:36"
    assert scenario.place("nothing") == f"{SHOWN}:1"
    assert Scenario(name="x").place("kill", 0) == "scenario"


def test_the_place_of_a_scenario_is_no_part_of_it() -> None:
    assert parse("name: x\n") == parse_scenario(b"\n\nname: x\n", "other.yaml", None)


def test_the_project_is_found_beside_the_file() -> None:
    assert parse("name: x\n").folder() == Path("scenarios")
    assert parse("name: x\nproject: ../agents\n").folder() == Path("scenarios/../agents")


def test_a_scenario_goes_over_the_projects_configuration() -> None:
    config = project()
    text = "name: x\nupstream: {bank: {honours_key: true}, mail: {seed: 7}}\nsettings: {workers: 3, lease: {ttl: 3s}}\n"
    over = parse(text).over(config)
    assert over.upstream == {"bank": {"latency": "5ms", "honours_key": True}, "mail": {"seed": 7}}
    assert over.lease == LeasePolicy(3 * SECOND, SECOND, config.lease.stall_us)
    assert (over.workers, over.concurrency, over.recovery) == (3, config.concurrency, config.recovery)
    assert parse("name: x\n").over(config) == config


def test_check_accepts_what_the_project_has() -> None:
    check(parse("name: x\nagent: treasury\nexpect: {upstream: {bank.wires: 1}}\n"), project())
    check(parse("name: x\nupstream: {mail: }\nexpect: {keyed: {mail.letters: 1}}\n"), project())
    check(parse("name: x\nsettings: {lease: {ttl: 300ms}}\n"), project())


TWO = "name: p\nagents: {treasury: a:b, clerk: c:d}\n"


@pytest.mark.parametrize(
    ("text", "config", "message"),
    [
        ("name: x\nagent: tresury\n", "", "2: agent: tape.yaml has no agent 'tresury'; did you mean treasury?"),
        ("name: x\nagent: qq\n", TWO, "2: agent: tape.yaml has no agent 'qq'; it has: treasury, clerk"),
        ("name: x\n", TWO, "1: agent: this project has several, say which; add a line such as 'agent: treasury'"),
        ("name: x\nexpect:\n  upstream: {bnk.wires: 1}\n", "",
         "3: expect.upstream.bnk.wires: no stand-in is called 'bnk'; did you mean bank?"),
        ("name: x\nexpect:\n  keyed:\n    q.w: 1\n", "",
         "4: expect.keyed.q.w: no stand-in is called 'q'; there are: bank; name one of them, or add it to upstream"),
        ("name: x\nsettings: {lease: {heartbeat: 20s}}\n", "",
         "2: settings.lease.heartbeat: must be shorter than the ttl of tape.yaml; write a ttl beside it"),
        ("name: x\nupstream:\n  bank: {seed: 1}\n", "name: p\nagent: a:treasury\nupstream: {bank: {latency: 5 days}}\n",
         "3: upstream.bank: with tape.yaml's options: latency: '5 days' is no duration"),
    ],
)  # fmt: skip
def test_check_refuses_what_the_project_has_not(text: str, config: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(parse(text), project(config) if config else project())
    assert str(caught.value).startswith(f"{SHOWN}:{message}")
    assert len(str(caught.value).splitlines()) == 1


def test_check_tells_all_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        check(parse("name: x\nagent: q\nexpect: {upstream: {a.b: 1, c.d: 1}}\n"), project())
    assert len(str(caught.value).splitlines()) == 3


# ------------------------------------------------------------------------------------------------ finding and reading


def test_folders_are_searched_and_files_taken_as_they_are(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml", "deep/c.yaml", "tape.yaml", ".hidden/d.yaml", "e.yml", "f.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("name: x\n")
    (tmp_path / "folder.yaml").mkdir()
    expected = [tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "deep/c.yaml"]
    assert find_scenarios([tmp_path]) == expected
    assert find_scenarios([tmp_path / "f.txt", tmp_path, tmp_path / "a.yaml"]) == [tmp_path / "f.txt", *expected]


@pytest.mark.parametrize("names", [[], ["nowhere"], ["empty"], ["a.yaml", "empty"], ["a\0b"], ["x" * 5000]])
def test_nothing_to_run_is_said(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.yaml").write_text("name: x\n")
    with pytest.raises(UsageError) as caught:
        find_scenarios([tmp_path / name for name in names])
    assert len(str(caught.value).splitlines()) == 1 and str(caught.value).isprintable()


def test_a_file_is_read_under_its_own_name(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("name: x\nkill: [{at: nowhere}]\n")
    with pytest.raises(UsageError, match=f"^{file}:2: kill.0.at: "):
        read_scenario(file)
    file.write_text("name: x\n")
    assert read_scenario(file).source == file


@pytest.mark.parametrize("name", ["missing.yaml", "folder", "pipe", "a\nb.yaml", "a\0b"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError) as caught:
        read_scenario(tmp_path / name)
    assert str(caught.value).isprintable() and ":1: no" in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: x\n")
    (tmp_path / "x.yaml").chmod(0)
    with pytest.raises(UsageError, match="cannot be read"):
        read_scenario(tmp_path / "x.yaml")


def test_ten_megabytes_are_not_even_read(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"name: x\ninput: " + b"y" * 10_000_000)
    with pytest.raises(UsageError, match=r"x\.yaml:1: larger than 256 KiB"):
        read_scenario(tmp_path / "x.yaml")


def test_importing_the_scenario_stays_light() -> None:
    code = (
        "import sys, tape.lab.scenario, tape.lab.scenario_file as f\n"
        "heavy = {'pydantic', 'pydantic_core', 'yaml', 'sqlmodel', 'textual', 'typer'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "f.parse_scenario(b'name: x', 'x', None)\n"
        "assert 'pydantic' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ------------------------------------------------------------------------------------------------ writing


def test_the_text_is_as_a_person_would_write_it() -> None:
    text = write_scenario(parse(FULL))
    assert "about: >\n  Some prose, that is folded over lines.\n\n  And more.\nagent: treasury\n" in text
    assert "\nkill:\n  - {at: effect.acted, tool: wire_money, nth: 2, decision: 1, signal: LOST}\n" in text
    assert "  - {at: at:mine, signal: TERM}\n" in text
    assert "  - {on: timer_set, do: advance, by: 90m}\n" in text
    assert "\nexpect:\n  status: FAILED\n  error: no money\n  upstream: {bank.wires: 1}\n" in text
    assert "  asked_twice: {min: 1}\n" in text
    assert parse(text) == parse(FULL)


def test_defaults_are_left_out() -> None:
    assert write_scenario(Scenario(name="nothing dies")) == "name: nothing dies\n"


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(name="two\nlines"),
        Scenario(name=" "),
        Scenario(name="x", kill=(Kill("nowhere"),)),
        Scenario(name="x", kill=(Kill("effect.acted", nth=0),)),
        Scenario(name="x", input=float("nan")),
        Scenario(name="x", input=float("inf")),
        Scenario(name="x", input=2**63),
        Scenario(name="x", input="\ud800"),
        Scenario(name="x", input=(1, 2)),
        Scenario(name="x", input="y" * MAX_BYTES),
        Scenario(name="x", input=[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]),
        Scenario(name="x", within_us=0),
    ],
)
def test_what_no_file_can_hold_is_not_written(scenario: Scenario) -> None:
    with pytest.raises(UsageError, match="cannot be written") as caught:
        write_scenario(scenario)
    assert len(str(caught.value).splitlines()) == 1


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WORD = st.one_of(TEXT, st.sampled_from(["yes", "no", "null", "~", "NaN", "7", "1e3", "2024-01-01", "a: b", "- a", "#", "<<", ".inf"]))  # noqa: E501  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | WORD,  # noqa: E501
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
JSON = JSON.filter(lambda value: _depth(value) <= 12)
PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1, max_size=30)
LINE = PRINTABLE.map(str.strip).filter(bool)
PROSE = st.lists(PRINTABLE.map(str.rstrip), max_size=4).map("\n".join).map(str.strip)
NAME = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)
TOOL = st.one_of(NAME, LINE.filter(lambda word: "/" not in word))
PLACE = st.builds("{}/{}/{}".format, st.one_of(st.just("-"), st.integers(0, 99)), st.integers(0, 9), TOOL)
DURATION = st.integers(1, 366 * 86_400 * SECOND)
NTH = st.integers(1, 1000)
COUNT = st.one_of(
    st.integers(0, 9).map(Count.exactly),
    st.integers(0, 9).map(Count),
    st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda pair: Count(min(pair), max(pair))),
)
MAYBE = st.none()
HOOKS = [point.name for point in POINTS if point.stage is Stage.HOOK]
AGENTS_OWN = ["effect.begun", "effect.acted", "effect.ended"]
OWN = LINE.map("at:{}".format)
DEATH = st.sampled_from([Death.KILL, Death.TERM, Death.STOP, Death.LOST])
KILL = st.one_of(
    st.builds(Kill, st.sampled_from(AGENTS_OWN), MAYBE | TOOL, NTH, MAYBE | st.integers(0, 9), DEATH),
    st.builds(Kill, st.sampled_from(HOOKS), MAYBE | TOOL, NTH, MAYBE | st.integers(0, 9)),
    st.builds(Kill, OWN, nth=NTH, signal=st.sampled_from([Death.KILL, Death.TERM])),
)
ON = st.one_of(st.sampled_from(["STUCK", "WAITING", *BY_KIND, *AGENTS_OWN]), OWN)
REASON = st.just("") | LINE
ORDER = st.one_of(
    st.builds(ScriptedOrder, ON, st.just(Verb.ADVANCE), NTH, by_us=DURATION, reason=REASON),
    st.builds(ScriptedOrder, ON, st.sampled_from([Verb.CANCEL, Verb.KILL, Verb.THAW, Verb.FREEZE, Verb.REDRIVE]), NTH),
    st.builds(ScriptedOrder, ON, st.just(Verb.RESOLVE), NTH, TOOL, how=st.just(How.CONFIRM), result=JSON),
    st.builds(ScriptedOrder, ON, st.just(Verb.RESOLVE), NTH, key=PLACE, how=st.sampled_from([*How][1:])),
)
FORKS = (
    ScriptedOrder("TERMINAL", Verb.FORK, at=3, name="trial", input={"task": [None, "no"]}),
    ScriptedOrder("gate_opened", Verb.FORK, run="trial", at=1, name="no"),
    ScriptedOrder("STUCK", Verb.PROMOTE, run="no", name="real"),
)
"""Each is made of the one before, so they come together or not at all."""
EFFECT = st.one_of(
    st.builds(EffectExpect, status=st.sampled_from(EffectStatus), row=st.sampled_from([rule.row for rule in RULES])),
    st.builds(EffectExpect, resolution=st.just(Resolution.DECIDED), attempts=MAYBE | COUNT),
    st.builds(EffectExpect, count=COUNT),
)
HELD = st.dictionaries(st.builds("{}.{}".format, NAME, NAME), COUNT, max_size=2)
EXPECT = st.one_of(
    st.builds(Expect, result=st.just(UNSET) | JSON, upstream=HELD, decisions=MAYBE | COUNT, doubled=COUNT, lost=COUNT),
    st.builds(
        Expect,
        status=st.sampled_from([RunStatus.FAILED, RunStatus.STUCK, RunStatus.WAITING, RunStatus.CANCELLED]),
        error=MAYBE | TEXT,
        keyed=HELD,
        asks=MAYBE | COUNT,
        effects=st.dictionaries(TOOL | PLACE, EFFECT, max_size=2),
        resolutions=MAYBE | st.lists(st.sampled_from(Resolution), max_size=3).map(tuple),
        obligations=st.dictionaries(TOOL | PLACE, st.sampled_from(ObligationStatus), max_size=2),
        conflicts=MAYBE | COUNT,
        leases=MAYBE | COUNT,
        deaths=MAYBE | COUNT,
        refused=MAYBE | COUNT,
        budget=st.dictionaries(
            st.sampled_from(["usd", "tokens", "calls:wire"]),
            st.builds(
                BudgetExpect, spent=st.integers(0, 10**9), lost=MAYBE | st.integers(0, 10**6), refused=MAYBE | COUNT
            ),
            max_size=2,
        ),
    ),
)
FORK = st.one_of(
    st.builds(ForkExpect, result=st.just(UNSET) | JSON, acts=MAYBE | COUNT, void=MAYBE | COUNT, asks=MAYBE | COUNT),
    st.builds(
        ForkExpect,
        status=st.sampled_from([RunStatus.FAILED, RunStatus.STUCK, RunStatus.WAITING, RunStatus.CANCELLED]),
        error=MAYBE | TEXT,
        inherited=MAYBE | COUNT,
        quarantined=MAYBE | COUNT,
        decisions=MAYBE | COUNT,
        leases=MAYBE | COUNT,
        budget=st.dictionaries(
            st.sampled_from(["usd", "tokens"]), st.builds(BudgetExpect, spent=st.integers(0, 10**9)), max_size=2
        ),
    ),
)
FORKED = st.tuples(
    st.lists(ORDER, max_size=2).map(lambda orders: (*FORKS, *orders)),
    st.tuples(EXPECT, st.dictionaries(st.sampled_from(["trial", "no", "real"]), FORK, max_size=2)).map(
        lambda pair: replace(pair[0], forks=pair[1])
    ),
)
BACKOFF = st.tuples(DURATION, DURATION).map(lambda pair: Backoff(min(pair), max(pair)))
SETTINGS = st.builds(
    Settings,
    ttl_us=MAYBE | st.integers(10 * SECOND, 20 * SECOND),
    heartbeat_us=MAYBE | st.integers(1, SECOND),
    stall_us=MAYBE | DURATION,
    max_crashes=MAYBE | st.integers(1, 1000),
    backoff=MAYBE | BACKOFF,
    workers=MAYBE | st.integers(1, 64),
    concurrency=MAYBE | st.integers(1, 10_000),
)
OPTIONS = st.fixed_dictionaries(
    {}, optional={"honours_key": st.booleans(), "seed": st.integers(0, 9), "latency": st.sampled_from(["20ms", 1, 0.5])}
)
SCENARIO = st.builds(
    Scenario,
    name=LINE,
    about=PROSE,
    agent=MAYBE | NAME,
    project=MAYBE | st.sampled_from([".", "../agents", "a b", "/x/#y"]),
    input=JSON,
    upstream=st.dictionaries(NAME, OPTIONS, max_size=2),
    environment=st.dictionaries(NAME.map(str.upper), TEXT.map(lambda text: text.replace("\0", "")), max_size=2),
    settings=SETTINGS,
    within_us=DURATION,
    kill=st.lists(KILL, max_size=3).map(tuple),
    orders=st.lists(ORDER, max_size=3).map(tuple),
    expect=EXPECT,
)
SCENARIO = st.one_of(
    SCENARIO,
    st.tuples(SCENARIO, FORKED).map(lambda pair: replace(pair[0], orders=pair[1][0], expect=pair[1][1])),
)


@settings(deadline=None, max_examples=300)
@example(Scenario(name="x", input={"k" * 2000: {"\n" * 1100: 1.0}}))
@example(Scenario(name="x", about="a\n\n\nb", input=[1, 1.0, True, "\x85\u2028\ufeff\x7f", -0.0, 5e-324]))
@example(Scenario(name="x", about="a\n  b"))
@example(Scenario(name="x", about=("word  " * 60).strip()))
@example(Scenario(name="no", about="# no comment", expect=Expect(result=None)))
@given(SCENARIO)
def test_what_is_written_reads_the_same(scenario: Scenario) -> None:
    text = write_scenario(scenario)
    again = parse(text)
    assert again == scenario
    assert repr(again.input) == repr(scenario.input) and repr(again.expect) == repr(scenario.expect)
    assert write_scenario(again) == text


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
def test_no_bytes_raise_anything_but_a_usage_error(data: bytes) -> None:
    try:
        parse_scenario(b"name: x\n" + data, SHOWN, None)
    except UsageError as error:
        assert all(line.startswith(f"{SHOWN}:") for line in str(error).split("\n"))


VALUES = ["", "7", "-1", "1.5", "true", "text", '"\\e[2J"', "[]", "[7]", "{}", "{a: b}", "[{}]", "2024-01-01", "~"]
PATHS = [
    "name", "about", "agent", "project", "input", "upstream", "upstream.bank", "environment", "environment.A",
    "settings", "settings.lease", "settings.lease.ttl", "settings.recovery.backoff", "settings.workers", "within",
    "kill", "kill.0", "kill.0.at", "kill.0.tool", "kill.0.nth", "kill.0.decision", "kill.0.signal", "orders",
    "orders.0", "orders.0.on", "orders.0.do", "orders.0.how", "orders.0.by", "expect", "expect.status",
    "expect.error", "expect.upstream", "expect.upstream.a/b", "expect.effects", "expect.effects.t",
    "expect.effects.t.row", "expect.resolutions", "expect.obligations.t", "expect.leases", "expect.leases.min",
    "orders.0.at", "orders.0.name", "orders.0.run", "orders.0.input", "kill.0.run", "expect.forks", "expect.forks.a",
    "expect.forks.a.acts",
    "expect.budget", "expect.budget.usd", "expect.budget.usd.spent", "expect.budget.usd.refused", "expect.budget.pens",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_any_value_at_any_place_is_taken_or_refused_in_lines(path: str) -> None:
    for value in VALUES:
        text = value
        for part in reversed(path.split(".")):
            text = f"[{text}]" if part == "0" else f"{{{part}: {text}}}"
        text = text[1:-1] if path.startswith("name") else f"name: x, {text[1:-1]}"
        try:
            parse("{" + text + "}")
        except UsageError:
            assert refusals("{" + text + "}")


# ------------------------------------------------------------------------------------------------ mistakes

X = "name: x\n"
K = X + "kill:\n  - "
O = X + "orders:\n  - "  # noqa: E741
E = X + "expect:\n  "
U = X + "upstream:\n  bank: "
DEEP = "[" * 17 + "]" * 17
"""Every case: the file, the line of its only mistake, and what its message must hold."""
BAD: list[tuple[str | bytes, int, str]] = [
    # the file
    (b"", 1, "the file is empty; write a scenario"),
    ("# only a comment\n", 1, "the file is empty"),
    ("~\n", 1, "the file is empty"),
    ("- a\n- b\n", 1, "the file must be a mapping, not a list"),
    ("just words\n", 1, "the file must be a mapping, not 'just words'"),
    (X + "---\nname: y\n", 2, "a second document starts here"),
    (X + "input: &a 1\n", 2, "anchor &a is not allowed"),
    (X + "input: *a\n", 2, "alias *a is not allowed"),
    (X + "input: !!python/object:os.system x\n", 2, "tag 'tag:yaml.org,2002:python/object:os.system' is not allowed"),
    (X + "input: !!str 7\n", 2, "is not allowed; remove it"),
    (X + "name: y\n", 2, "key 'name' stands here twice (first in line 1)"),
    (X + "kill: []\nkill: []\n", 3, "key 'kill' stands here twice (first in line 2)"),
    (X + "input: {a: 1, a: 2}\n", 2, "key 'a' stands here twice"),
    (X + "? [a]\n: 1\n", 2, "a key must be a plain word"),
    (X + "input: {\n", 2, "not valid YAML"),
    (X + "kill:\n\t- a\n", 3, "a tab is used for indentation"),
    (X + "input: " + DEEP + "\n", 2, "nested deeper than 16 levels"),
    (b"name: x\ninput: \xff\n", 2, "not UTF-8 text"),
    (b"\x7fELF\x02\x01\x01\x00\x00", 1, "the control character U+007F is not allowed"),
    (b"name: x\n\0\0\0\0", 2, "the control character U+0000 is not allowed"),
    (X + "about: a\x1b[2J\n", 2, "the control character U+001B is not allowed"),
    (X + "input: " + "y" * (1 << 20), 1, "larger than 256 KiB"),
    (b"y" * 10_000_000, 1, "larger than 256 KiB"),
    # the story's own
    ("kill: []\n", 1, "name: is missing; add it"),
    ("kill: []\nname:\n", 2, "name: is missing; add it"),
    ("name: 7\n", 1, "name: must be text, not 7; put it in quotes if it is meant as text"),
    ("name: [a]\n", 1, "name: must be text, not a list; write some text"),
    ('name: "a\\nb"\n', 1, "name: must be one line without control characters, not 'a\\nb'"),
    ('name: "\\e[31mred"\n', 1, "name: must be one line without control characters"),
    ('name: "a\\u202Eb"\n', 1, "name: must be one line without control characters"),
    ('name: " "\n', 1, "name: must be one line of text"),
    ("name: " + "y" * 201 + "\n", 1, "name: is longer than 200 characters"),
    (X + 'about: "a\\0b"\n', 2, "about: holds control characters: 'a\\x00b'"),
    (X + "kil: []\n", 2, "kil: unknown key; did you mean kill?"),
    (X + "kil:\n", 2, "kil: unknown key; did you mean kill?"),
    (X + "zzz: 1\n", 2, "zzz: unknown key; keys here: name, about, agent, project, recorded, input"),
    (X + '"a\\eb": 1\n', 2, "'a\\x1bb': unknown key; keys here"),
    (X + "agent: a/b\n", 2, "agent: cannot be 'a/b'; use letters"),
    (X + "project: ~root\n", 2, "project: cannot be '~root'; name a folder"),
    (X + 'project: ""\n', 2, "project: cannot be ''; name a folder"),
    (X + "environment: {A: 1}\n", 2, "environment.A: must be text, not 1; put it in quotes"),
    (X + "environment: {A: true}\n", 2, "environment.A: must be text, not true; put it in quotes"),
    (X + "environment:\n  A:\n", 3, "environment.A: must be text, not nothing"),
    (X + "environment: {TAPE_SOCKET: x}\n", 2, "environment.TAPE_SOCKET: this name cannot be 'TAPE_SOCKET'"),
    (X + "environment: {A-B: x}\n", 2, "environment.A-B: this name cannot be 'A-B'"),
    (X + 'environment: {A: "\\0"}\n', 2, "environment.A: no process can be given a text with a zero byte"),
    (X + "within: soon\n", 2, "within: must be a duration, not 'soon'; write 200ms, 15s"),
    (X + "within: 0s\n", 2, "within: must be over 0 and at most a year"),
    (X + "within: -1\n", 2, "within: must be a duration, not '-1'"),
    (X + "within: [1]\n", 2, "within: must be a duration; write 200ms"),
    (X + "settings: {lese: {}}\n", 2, "settings.lese: unknown key; did you mean lease?"),
    (X + "settings:\n  lease: {ttll: 1s}\n", 3, "settings.lease.ttll: unknown key; did you mean ttl?"),
    (X + "settings: {lease: {ttl: 1s, heartbeat: 1s}}\n", 2, "settings.lease.heartbeat: must be shorter than ttl"),
    (X + "settings: {recovery: {backoff: 1s}}\n", 2, "settings.recovery.backoff: must be two durations, not '1s'"),
    (X + "settings: {recovery: {backoff: 2s..1s}}\n", 2, "settings.recovery.backoff: starts above its end"),
    (X + "settings: {recovery: {max_crashes: 0}}\n", 2, "settings.recovery.max_crashes: must be 1 or more, not 0"),
    (X + "settings: {workers: 65}\n", 2, "settings.workers: must be at most 64, not 65"),
    (X + "settings: {workers: two}\n", 2, "settings.workers: must be a whole number, not 'two'"),
    (X + "settings: 7\n", 2, "settings: must be a mapping, not 7"),
    # values of JSON
    (X + "input: 2024-01-01\n", 2, "input: '2024-01-01' is a date to YAML, and JSON has none; put it in quotes"),
    (X + "input:\n  - a: 2024-01-01 10:00:00\n", 3, "input.0.a: '2024-01-01 10:00:00' is a date"),
    (X + "input: .nan\n", 2, "input: '.nan' is no value of JSON"),
    (X + "input: [1, NaN]\n", 2, "input.1: 'NaN' is no value of JSON"),
    (X + "input: -.inf\n", 2, "input: '-.inf' is no value of JSON"),
    (X + "input: True\n", 2, "input: 'True' is no value of JSON; write true, false or null"),
    (X + "input: 1e999\n", 2, "input: '1e999' is no number that JSON can hold"),
    (X + "input: 0x1F\n", 2, "input: '0x1F' is no number that JSON can hold"),
    (X + "input: 007\n", 2, "input: '007' is no number that JSON can hold"),
    (X + "input: 9223372036854775808\n", 2, "input: '9223372036854775808' is no number that JSON can hold"),
    (X + "input: {a: 9223372036854775808}\n", 2, "input.a: '9223372036854775808' is no number that JSON can hold"),
    (E + "result: {a: NaN}\n", 3, "expect.result.a: 'NaN' is no value of JSON"),
    (O + "{on: STUCK, do: resolve, tool: t, how: confirm, result: 2024-01-01}\n", 3,
     "orders.0.result: '2024-01-01' is"),
    # stand-ins
    (X + "upstream: {Bank: {}}\n", 2, "upstream.Bank: this name cannot be 'Bank'; use small letters"),
    (X + "upstream: [bank]\n", 2, "upstream: must be a mapping, not a list"),
    (U + "7\n", 3, "upstream.bank: expected a mapping such as {honours_key: ...}, not 7"),
    (U + "{honour_key: true}\n", 3,
     "upstream.bank.honour_key: unknown option 'honour_key'; did you mean 'honours_key'?"),
    (U + "\n    latency: fast\n", 4, "upstream.bank.latency: 'fast' is no duration"),
    (U + "\n    faults:\n      - {kind: slow}\n", 5, "upstream.bank.faults.0: slow needs a delay"),
    (U + "\n    faults:\n      - {kind: slo, delay: 1s}\n", 5,
     "upstream.bank.faults.0: unknown kind 'slo'; did you mean"),
    (U + "\n    faults:\n      - {kind: slow, delay: 1s}\n      - {kind: lose_answer, nth: 0}\n", 6,
     "upstream.bank.faults.1: nth: 0 is not a whole number of at least 1"),
    # kills
    (K + "{at: efect.acted}\n", 3, "kill.0.at: no crash point is called 'efect.acted'; did you mean effect.acted?"),
    (K + "at: effect.acted\n  - at: zzz\n", 4, "kill.1.at: no crash point is called 'zzz'; there are: decision.asking"),
    (K + '{at: "at:"}\n', 3, "kill.0.at: no crash point is called 'at:'"),
    (K + '{at: "at:\\e"}\n', 3, "kill.0.at: cannot be 'at:\\x1b'; name a crash point"),
    (K + "{at: " + "y" * 5000 + "}\n", 3, "kill.0.at: no crash point is called 'yyyy"),
    (K + "{tool: t}\n", 3, "kill.0.at: is missing; add it"),
    (K + "effect.acted\n", 3, "kill.0: must be a mapping, not 'effect.acted'; write 'key: value' lines"),
    (K + "\n", 3, "kill.0: must be a mapping, not nothing"),
    (X + "kill: {at: effect.acted}\n", 2, "kill: must be a list, not a mapping; write [a, b]"),
    (K + "{at: effect.acted, nth: 0}\n", 3, "kill.0.nth: must be 1 or more, not 0"),
    (K + "{at: effect.acted, nth: 1.0}\n", 3, "kill.0.nth: must be a whole number, not 1.0"),
    (K + "{at: effect.acted, nth: true}\n", 3, "kill.0.nth: must be a whole number, not true"),
    (K + '{at: effect.acted, nth: "1"}\n', 3, "kill.0.nth: must be a whole number, not '1'"),
    (K + "{at: effect.acted, decision: -1}\n", 3, "kill.0.decision: must be 0 or more, not -1"),
    (K + "at: effect.acted\n    too: t\n", 4, "kill.0.too: unknown key; did you mean tool?"),
    (K + "{at: effect.acted, tool: a/b}\n", 3, "kill.0.tool: cannot be 'a/b'; name a tool"),
    (K + "{at: effect.acted, signal: KIL}\n", 3, "kill.0.signal: no death is called 'KIL'; did you mean KILL?"),
    (K + "{at: effect.acted, signal: HOLD}\n", 3, "kill.0.signal: no death is called 'HOLD'"),
    (K + "{at: effect.acted, signal: 9}\n", 3, "kill.0.signal: must be text, not 9"),
    (K + "{at: observe.answered, signal: STOP}\n", 3, "kill.0.signal: at observe.answered only the hook worker dies"),
    (K + "{at: dispatch.acted, signal: TERM}\n", 3, "kill.0.signal: at dispatch.acted only the hook worker dies"),
    (K + "{at: compensate.acted, signal: LOST}\n", 3, "kill.0.signal: at compensate.acted only the hook worker dies"),
    (K + "{at: at:mine, signal: STOP}\n", 3, "kill.0.signal: an author's own point knows only KILL and TERM"),
    (K + "{at: decision.recorded, tool: t}\n", 3, "kill.0.tool: decision.recorded is not about a tool"),
    (K + "{at: lease.granted, decision: 1}\n", 3, "kill.0.decision: lease.granted is not about a decision"),
    # orders
    (O + "{on: STUK, do: thaw}\n", 3,
     "orders.0.on: nothing that an order could wait for is called 'STUK'; did you mean"),
    (O + "{on: qqq, do: thaw}\n", 3,
     "orders.0.on: nothing that an order could wait for is called 'qqq'; write a run's"),
    (O + "{on: observe.answered, do: thaw}\n", 3, "orders.0.on: no run can be held at observe.answered"),
    (O + "{do: thaw}\n", 3, "orders.0.on: is missing"),
    (O + "{on: STUCK}\n", 3, "orders.0.do: is missing"),
    (O + "{on: STUCK, do: redrve}\n", 3, "orders.0.do: no order is called 'redrve'; did you mean redrive?"),
    (O + "{on: STUCK, do: thaw, nth: 0}\n", 3, "orders.0.nth: must be 1 or more, not 0"),
    (O + "{on: TERMINAL, do: redrive, nth: 2}\n", 3, "orders.0.nth: a run comes to TERMINAL once"),
    (O + "{on: STUCK, do: resolve, tool: t}\n", 3, "orders.0: resolve needs how; write how: confirm, fail, retry"),
    (O + "{on: STUCK, do: resolve, how: fail}\n", 3, "orders.0: resolve needs what is resolved; write tool: NAME"),
    (O + "{on: STUCK, do: resolve, tool: t, how: confirm}\n", 3, "orders.0: confirm needs the result"),
    (O + "{on: STUCK, do: resolve, tool: t, how: fail, result: 1}\n", 3, "orders.0.result: belongs to confirm, not to"),
    (O + "{on: STUCK, do: resolve, tool: t, how: maybe}\n", 3, "orders.0.how: no way to resolve is called 'maybe'"),
    (O + "{on: STUCK, do: resolve, tool: t, key: 1/0/t, how: fail}\n", 3, "orders.0.tool: key names the tool already"),
    (O + "{on: WAITING, do: resolve, tool: t, how: undo}\n", 3, "orders.0.tool: undo is of one key; write key: "),
    (O + "{on: STUCK, do: resolve, key: t, how: fail}\n", 3,
     "orders.0.key: cannot be 't'; write decision/ordinal/tool"),
    (O + "{on: STUCK, do: cancel, how: fail}\n", 3, "orders.0.how: belongs to resolve, not to cancel; leave it out"),
    (O + "{on: STUCK, do: thaw, by: 1h}\n", 3, "orders.0.by: belongs to advance, not to thaw; leave it out"),
    (O + "{on: timer_set, do: advance}\n", 3, "orders.0: advance needs by"),
    (O + "{on: timer_set, do: advance, by: later}\n", 3, "orders.0.by: must be a duration, not 'later'"),
    (O + '{on: STUCK, do: cancel, reason: "a\\nb"}\n', 3, "orders.0.reason: must be one line"),
    # forks
    (O + "{on: STUCK, do: fork, name: a}\n", 3, "orders.0: fork needs at, the last record that is taken over"),
    (O + "{on: STUCK, do: fork, at: 3}\n", 3, "orders.0: fork makes a run, which needs a name; write name: trial"),
    (O + "{on: STUCK, do: fork, at: 0, name: a}\n", 3, "orders.0.at: must be 1 or more, not 0"),
    (O + "{on: STUCK, do: fork, at: 1.5, name: a}\n", 3, "orders.0.at: must be a whole number, not 1.5"),
    (O + "{on: STUCK, do: fork, at: 1, name: a/b}\n", 3, "orders.0.name: cannot be 'a/b'; use a letter, then letters"),
    (O + "{on: STUCK, do: fork, at: 1, name: a, input: 2024-01-01}\n", 3, "orders.0.input: '2024-01-01' is a date"),
    (O + "{on: STUCK, do: promote, name: a}\n", 3, "orders.0: promote needs run, the fork that is promoted"),
    (O + "{on: STUCK, do: cancel, at: 3}\n", 3, "orders.0.at: belongs to fork, not to cancel; leave it out"),
    (O + "{on: STUCK, do: cancel, name: a}\n", 3, "orders.0.name: belongs to fork and promote, not to cancel"),
    (O + "{on: STUCK, run: a, do: cancel}\n", 3,
     "orders.0.run: no fork is called 'a'; there are by then: none; an order `do: fork` makes one"),
    (O + "{on: STUCK, do: fork, at: 1, name: trial}\n  - {on: STUCK, run: tiral, do: cancel}\n", 4,
     "orders.1.run: no fork is called 'tiral'; did you mean trial?"),
    (O + "{on: STUCK, run: a, do: fork, at: 1, name: a}\n", 3, "orders.0.run: no fork is called 'a'"),
    (O + "{on: STUCK, do: fork, at: 1, name: a}\n  - {on: STUCK, do: fork, at: 1, name: a}\n", 4,
     "orders.1.name: there is a fork a already; choose another name"),
    (K + "{at: effect.acted, run: trial}\n", 3, "kill.0.run: no fork is called 'trial'; there are by then: none"),
    (E + "forks: {trial: {status: FAILED}}\n", 3, "expect.forks.trial: no fork is called 'trial'"),
    # expectations
    (X + "expect: [1]\n", 2, "expect: must be a mapping, not a list"),
    (E + "stats: TERMINAL\n", 3, "expect.stats: unknown key; did you mean status?"),
    (E + "status: TERMINATED\n", 3,
     "expect.status: no status in which a story can end is called 'TERMINATED'; did you"),
    (E + "status: RUNNING\n", 3, "expect.status: no status in which a story can end is called 'RUNNING'"),
    (E + "status: COMPENSATING\n", 3, "expect.status: no status in which a story can end"),
    (E + "decisions: -1\n", 3, "expect.decisions: must be a whole number from 0 to 1000000, not -1"),
    (E + "decisions: 1.5\n", 3, "expect.decisions: must be a whole number from 0 to 1000000, not 1.5"),
    (E + "leases: many\n", 3, "expect.leases: must be a whole number from 0 to 1000000, not 'many'"),
    (E + "leases: [1, 2]\n", 3, "expect.leases: must be a whole number from 0 to 1000000, not a list"),
    (E + "deaths: {}\n", 3, "expect.deaths: a count needs min, max or both"),
    (E + "deaths: {mim: 1}\n", 3, "expect.deaths: unknown key 'mim' in a count; keys here: min, max"),
    (E + "deaths: {min: 3, max: 1}\n", 3, "expect.deaths: min 3 is above max 1"),
    (E + "deaths: {min: x}\n", 3, "expect.deaths: min must be a whole number"),
    (E + "upstream: {wires: 1}\n", 3,
     "expect.upstream.wires: this name cannot be 'wires'; write stand-in and collection"),
    (E + "upstream:\n    bank.wires: one\n", 4, "expect.upstream.bank.wires: must be a whole number"),
    (E + "upstream: {b.w: 1}\n  keyed: {b.w: 2}\n", 4, "expect.keyed: b.w: 2 with a key is more than 1 in all"),
    (E + "asks: 1\n  asked_twice: 2\n", 4, "expect.asked_twice: of at most 1 asks, 2 cannot come after the first"),
    (E + "asks: {max: 2}\n  asked_twice: {min: 2}\n", 4, "expect.asked_twice: of at most 2 asks"),
    (E + "decisions: 3\n  asks: 2\n", 4, "expect.asks: 3 decisions and 0 asks beyond the first make more than 2"),
    (E + "status: FAILED\n  result: 7\n", 4, "expect.result: a run that is FAILED has no result"),
    (E + "error: text\n", 3, "expect.error: a run that is TERMINAL has no error"),
    (E + "leases: 0\n", 3, "expect.leases: a run that is TERMINAL had one lease at least"),
    (E + "effects: {a/b: {count: 1}}\n", 3, "expect.effects.a/b: this name cannot be 'a/b'; write a tool, or decision"),
    (E + "effects: {t: CONFIRMED}\n", 3, "expect.effects.t: must be a mapping, not 'CONFIRMED'"),
    (E + "effects: {t: }\n", 3, "expect.effects.t: must be a mapping, not nothing"),
    (E + "effects: {t: {}}\n", 3, "expect.effects.t: nothing is expected of it; write {status: CONFIRMED}"),
    (E + "effects: {t: {stat: A}}\n", 3, "expect.effects.t.stat: unknown key; did you mean status?"),
    (E + "effects:\n    t:\n      status: CONFIRMD\n", 5,
     "expect.effects.t.status: no status of an effect is called 'CONFIRMD'; did you mean CONFIRMED?"),
    (E + "effects: {t: {resolution: observd}}\n", 3, "no resolution is called 'observd'; did you mean observed?"),
    (E + "effects: {t: {row: N-presnt}}\n", 3,
     "no row of the resolution table is called 'N-presnt'; did you mean N-pres"),
    (E + "effects: {t: {row: Q}}\n", 3,
     "expect.effects.t.row: no row of the resolution table is called 'Q'; there are:"),
    (E + "effects: {t: {writer: reconsiler}}\n", 3, "no writer is called 'reconsiler'; did you mean reconciler?"),
    (E + "effects: {t: {status: PENDING, resolution: observed}}\n", 3,
     "expect.effects.t.resolution: an effect that is PENDING has not ended, so it has no resolution"),
    (E + "effects: {t: {status: UNKNOWN, writer: agent}}\n", 3,
     "an effect that is UNKNOWN has not ended, so it has no wr"),
    (E + "effects: {t: {status: FAILED, resolution: observed}}\n", 3, "observed ends CONFIRMED, never FAILED"),
    (E + "budget: {pens: {spent: 1}}\n", 3, "expect.budget.pens: this name cannot be 'pens'; write usd"),
    (E + "budget: {usd: {spent: -1}}\n", 3, "expect.budget.usd.spent: must be an amount, not negative"),
    (E + "budget: {tokens: {spent: 0.5}}\n", 3, "tokens: 0.5 is no amount; tokens are whole numbers"),
    (E + "budget: {usd: {spent: 0.0000001}}\n", 3, "0.000001 dollars is the smallest amount"),
    (E + "budget: {usd: {}}\n", 3, "usd: nothing is expected of it"),
    (E + "effects: {t: {status: CONFIRMED, resolution: rejected}}\n", 3, "rejected ends FAILED, never CONFIRMED"),
    (E + "effects: {t: {resolution: observed, writer: agent}}\n", 3, "observed is written by reconciler, never agent"),
    (E + "effects: {t: {resolution: redispatched, attempts: 1}}\n", 3, "redispatched means a second attempt at least"),
    (E + "effects: {t: {resolution: returned, attempts: 2}}\n", 3, "returned means the first attempt"),
    (E + "effects: {t: {count: 0, status: FAILED}}\n", 3, "where there is none, nothing else can be expected"),
    (E + "resolutions: observed\n", 3, "expect.resolutions: must be a list, not 'observed'"),
    (E + "resolutions: [observed, asked]\n", 3, "expect.resolutions.1: no resolution is called 'asked'"),
    (E + "obligations: {t: FINISHED}\n", 3, "expect.obligations.t: no status of an obligation is called 'FINISHED'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "words"), BAD)
def test_a_mistake_is_one_line_with_its_place(text: str | bytes, line: int, words: str) -> None:
    (told,) = refusals(text)
    assert told.startswith(f"{SHOWN}:{line}: ") and words in told
    assert "; " in told or ": " in told.removeprefix(SHOWN)


def test_all_mistakes_of_a_file_are_told_in_the_order_of_its_lines() -> None:
    text = "name: 7\nexpect:\n  status: NO\n  doubled: -1\nkill:\n  - {at: a}\n  - {at: b, nth: 0}\ninput: NaN\nzz: 1\n"
    told = refusals(text)
    assert [line.removeprefix(f"{SHOWN}:").split(": ")[:2] for line in told] == [
        ["1", "name"], ["3", "expect.status"], ["4", "expect.doubled"], ["6", "kill.0.at"],
        ["7", "kill.1.at"], ["7", "kill.1.nth"], ["8", "input"], ["9", "zz"],
    ]  # fmt: skip


def test_two_problems_between_the_same_fields_are_both_told() -> None:
    told = refusals(O + "{on: TERMINAL, nth: 2, do: resolve}\n")
    assert len(told) == 3


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
@pytest.mark.parametrize("death", [death for death in Death if death is not Death.HOLD])
def test_every_point_can_be_killed_at_and_only_hooks_refuse_other_deaths(point: Any, death: Death) -> None:
    text = K + f"{{at: {point.name}, signal: {death}}}\n"
    if point.stage is Stage.HOOK and death is not Death.KILL:
        assert len(refusals(text)) == 1
    else:
        assert parse(text).kill == (Kill(point.name, signal=death),)


@pytest.mark.parametrize("on", [*RunStatus, *BY_KIND, *(p.name for p in POINTS if p.stage is not Stage.HOOK)])
def test_every_status_entry_and_point_of_the_agent_can_be_waited_for(on: str) -> None:
    assert parse(O + f"{{on: {on}, do: cancel}}\n").orders == (ScriptedOrder(on, Verb.CANCEL),)


def test_many_mistakes_are_told_soon_enough() -> None:
    text = X + "".join(f"k{index}: 1\n" for index in range(2000))
    assert len(refusals(text)) == 2000


@pytest.mark.parametrize("sign", ["1", "1_", "a ", "-", "1.", "/", "a: "])
def test_no_long_value_takes_long(sign: str) -> None:
    long = (sign * (200_000 // len(sign))).strip()
    for text in (f"input: '{long}'", f"input: {long}x", f"kill: [{{at: '{long}'}}]", f"within: '{long}'"):
        try:
            write_scenario(parse(f"{X}{text}\n"))
        except UsageError as error:
            assert len(str(error)) < 600


def test_a_scenario_is_replaced_without_its_lines_being_lost() -> None:
    scenario = replace(parse(FULL), name="another")
    assert scenario.place("kill", 0) == f"{SHOWN}:15"
