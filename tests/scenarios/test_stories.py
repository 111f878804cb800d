"""Every story of the scenarios/ folder holds, and each of its expectations can fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from tape.core.kernel.lifecycle import EffectStatus, ObligationStatus, RunStatus
from tape.core.kernel.points import POINTS
from tape.core.kernel.resolution import RULES, Resolution, Writer
from tape.lab.scenario import UNSET, Count, Expect, ForkExpect, Verb
from tape.lab.scenario_file import find_scenarios, read_scenario
from tape.lab.scenario_run import judged
from tests.scenarios.conftest import ROOT, STORIES, Played

FILES = [str(file.relative_to(ROOT)) for file in find_scenarios([STORIES])]
STEPS_ON_THE_WAY = {"I-ask", "N-ask-look-up", "N-settling"}
"""Rows at which no effect comes to rest."""

Turned = tuple[tuple[str, ...], Expect]
"""The path of a key, and the expectations with that one turned wrong."""


@pytest.mark.parametrize("file", FILES)
def test_story(played: Played, file: str) -> None:
    result = played.result(file)
    assert result["ok"], "\n".join([result["trouble"], *map(str, result["misses"])])


def test_the_command_says_so_too(played: Played) -> None:
    assert [result["file"] for result in played.results] == FILES
    assert played.code == (0 if all(result["ok"] for result in played.results) else 1)


@pytest.mark.parametrize("file", FILES)
def test_each_expectation_can_fail(played: Played, file: str) -> None:
    """Turned wrong one by one, each is missed at its own line, and nothing else is."""
    scenario, outcome = played.outcome(file)
    assert judged(scenario, outcome).ok
    turned = list(wrong_ways(scenario.expect))
    assert len(turned) >= 3, "a story pins more than its status"
    for path, expect in turned:
        result = judged(replace(scenario, expect=expect), outcome)
        assert not result.ok, path
        places = {miss.where for miss in result.misses}
        assert places == {f"{file}:{line_of(file, path)}: {'.'.join(path)}"}, path


@pytest.mark.parametrize("file", FILES)
def test_a_page_that_a_newcomer_understands(file: str) -> None:
    scenario = read_scenario(ROOT / file)
    assert len(re.findall(r"[.:!?)](?= |$)", scenario.about)) >= 2, "two or three sentences at least"
    text = (ROOT / file).read_text()
    assert len(text.splitlines()) < 35
    assert all(len(line) <= 130 for line in text.splitlines())


def test_no_two_stories_have_one_name() -> None:
    names = [read_scenario(ROOT / file).name for file in FILES]
    assert len(set(names)) == len(names)


# --- what the folder is to show ---------------------------------------------------------------------------------------


def test_every_story_says_how_it_ends() -> None:
    for file in FILES:
        story = read_scenario(ROOT / file)
        assert ("expect", "status") in story.lines
        made = {order.name for order in story.orders if order.name is not None}
        assert {name for name in made if ("expect", "forks", name, "status") in story.lines} == made


def test_forks_are_tried_promoted_killed_forked_and_asked_anew() -> None:
    stories = [read_scenario(ROOT / file) for file in FILES if file.startswith("scenarios/forks/")]
    orders = [order for story in stories for order in story.orders]
    assert {Verb.FORK, Verb.PROMOTE} <= {order.do for order in orders}
    assert any(order.do is Verb.FORK and order.run is not None for order in orders), "a fork of a fork"
    assert any(order.do is Verb.ANSWER and order.run is not None for order in orders), "a gate is asked anew"
    assert any(kill.run is not None for story in stories for kill in story.kill)
    told = {field.name for story in stories for fork in story.expect.forks.values() for field in fields(fork)
            if getattr(fork, field.name) not in (None, UNSET, {})}  # fmt: skip
    assert told == {field.name for field in fields(ForkExpect)}, "everything that can be expected of a fork is"


def test_every_row_of_the_table_is_told(played: Played) -> None:
    outcomes = [played.outcome(file)[1] for file in FILES]
    rows = {effect.row for outcome in outcomes if outcome.dump for effect in outcome.dump.effects}
    assert {rule.row for rule in RULES} - STEPS_ON_THE_WAY <= rows


def test_every_crash_point_is_told() -> None:
    kills = {kill.at for file in FILES for kill in read_scenario(ROOT / file).kill}
    assert {point.name for point in POINTS} <= kills
    assert any(point.startswith("at:") for point in kills)


def test_every_resolution_and_every_end_is_told() -> None:
    expects = [read_scenario(ROOT / file).expect for file in FILES]
    told = {effect.resolution for expect in expects for effect in expect.effects.values()}
    assert set(Resolution) - {Resolution.REJECTED} <= told  # a refusal is no crash
    statuses = {expect.status for expect in expects}
    ends = {RunStatus.TERMINAL, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.STUCK, RunStatus.WAITING}
    assert statuses == ends


# --- expectations turned wrong ----------------------------------------------------------------------------------------


def wrong_ways(expect: Any) -> Iterator[Any]:
    """Each expectation of the file turned wrong, with the path of its key."""
    for field in fields(expect):
        value = getattr(expect, field.name)
        default = field.default_factory() if callable(field.default_factory) else field.default
        if field.name != "status" and (value is UNSET or value == default):
            continue
        if field.name == "forks":
            yield from _wrong_forks(expect)
        elif field.name in ("effects", "budget"):
            yield from _wrong_parts(expect, field.name)
        elif isinstance(value, dict):
            for place, wanted in value.items():
                mapping = {**value, place: other(wanted)}
                yield (field.name, place), replace(expect, **{field.name: mapping})
        else:
            yield (field.name,), replace(expect, **{field.name: other(value)})


def _wrong_forks(expect: Expect) -> Iterator[Turned]:
    """Of each fork one expectation after the other."""
    for name, fork in expect.forks.items():
        for path, wrong in wrong_ways(fork):
            yield ("forks", name, *path), replace(expect, forks={**expect.forks, name: wrong})


def _wrong_parts(expect: Any, name: str) -> Iterator[Any]:
    """Of each effect or unit of the budget one word after the other."""
    listed: dict[str, Any] = getattr(expect, name)
    for place, parts in listed.items():
        for field in fields(parts):
            wanted = getattr(parts, field.name)
            if wanted is not None:
                wrong = replace(parts, **{field.name: other(wanted)})
                yield (name, place, field.name), replace(expect, **{name: {**listed, place: wrong}})


def other(value: Any) -> Any:
    """Anything but that."""
    if isinstance(value, Count):
        return Count.exactly(value.max + 1) if value.max is not None else Count(0, value.min - 1)
    for words in (RunStatus, EffectStatus, ObligationStatus, Resolution, Writer):
        if isinstance(value, words):
            return next(word for word in words if word != value)
    if isinstance(value, tuple):
        return (*value, Resolution.REJECTED)
    if isinstance(value, str):
        return f"not {value}"
    if type(value) is int:
        return value + 1
    return [value]


def line_of(file: str, path: tuple[str, ...]) -> int:
    """Where a key stands, found in the text alone."""
    lines = (ROOT / file).read_text().splitlines()
    at = lines.index("expect:")
    for part in path:
        at = next(n for n in range(at, len(lines)) if re.search(rf"(^|[ {{]){re.escape(part)}:", lines[n]))
    return at + 1


def test_a_line_is_found() -> None:
    file = "scenarios/first-crash/the-demo.yaml"
    text = (ROOT / file).read_text().splitlines()
    assert "attempts: 1" in text[line_of(file, ("effects", "wire_money", "attempts")) - 1]
    assert text[line_of(file, ("upstream", "bank.wires")) - 1] == "  upstream: {bank.wires: 1}"
