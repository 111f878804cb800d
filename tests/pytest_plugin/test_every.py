"""One test, played at every crash point of the agent's own run."""

from __future__ import annotations

import re

import pytest

from tests.pytest_plugin.suite import Suite

PLACES = [
    "lease.granted",
    *(f"decision.{stage}-{index}" for index in (0, 1) for stage in ("asking", "replied", "recorded")),
    "effect.begun-1-wire_money",
    "effect.acted-1-wire_money",
    "effect.ended-1-wire_money",
    *(f"decision.{stage}-2" for stage in ("asking", "replied", "recorded")),
    "run.ending",
    "run.ended",
]
EVERY = """
import pytest

@pytest.mark.tape_every_crash_point(%s)
def test_it(tape_run):
    result = tape_run(within=60)
    assert result.status == "TERMINAL"
    assert result.entries[0].event.input == "pay invoice 7"
"""
NOTED = """
def pytest_itemcollected(item):
    with open("collected", "a") as file:
        file.write(item.name + "\\n")
"""
INPUT = 'input="pay invoice 7"'


def ids(places: list[str], *deaths: str) -> list[str]:
    return [f"test_it[{place}-{death}]" for place in places for death in deaths]


def collected(suite: Suite, *arguments: str) -> list[str]:
    output = suite.run("--collect-only", *arguments).output
    return re.findall(r"^tests/test_it\.py::(\S+)$", output, re.M)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_an_agent_that_is_right_passes_at_all_of_them(suite: Suite, workers: tuple[str, ...]) -> None:
    suite.write(EVERY % INPUT)
    ran = suite.run(*workers)
    assert ran.code == 0, ran.output
    assert sorted(ran.said) == sorted(ids(PLACES, "KILL"))
    assert suite.journals() == []


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_an_agent_that_is_wrong_fails_where_it_pays_twice(suite: Suite, workers: tuple[str, ...]) -> None:
    suite.make_wrong()
    suite.write(EVERY % INPUT)
    ran = suite.run(*workers)
    assert ran.failed == ["test_it[effect.acted-1-wire_money-KILL]"], ran.output
    assert "it sends no idempotency key: 2 acts stand at bank" in ran.said[ran.failed[0]]
    assert len(ran.said) == len(PLACES)


def test_the_ids_are_in_the_order_of_the_run(suite: Suite) -> None:
    suite.write(EVERY % f'{INPUT}, deaths=("LOST", "KILL")')
    assert collected(suite) == ids(PLACES, "KILL", "LOST")
    assert collected(suite, "-k", "acted and LOST") == ids(["effect.acted-1-wire_money"], "LOST")


def test_other_deaths_and_a_choice_by_name(suite: Suite) -> None:
    suite.write(EVERY % f'{INPUT}, deaths=("TERM", "STOP", "LOST"), agent="treasury"')
    ran = suite.run("-k", "effect.acted")
    assert ran.code == 0, ran.output
    assert [*ran.said] == ids(["effect.acted-1-wire_money"], "TERM", "STOP", "LOST")


def test_pairs(suite: Suite) -> None:
    suite.write(NOTED, "tests/conftest.py")
    suite.write((EVERY % f"{INPUT}, pairs=True") + "    assert result.deaths == 2\n")
    twice = "test_it[lease.granted-KILL-then-lease.granted-n2-KILL]"
    ran = suite.run("-k", "lease.granted-KILL-then-lease.granted")
    assert (ran.code, ran.said) == (0, {twice: ""}), ran.output
    names = (suite.folder / "collected").read_text("utf-8").split()
    assert names[: len(PLACES)] == ids(PLACES, "KILL")
    wanted = "test_it[effect.acted-1-wire_money-KILL-then-observe.answered-1-wire_money-KILL]"
    assert wanted in names
    assert len(set(names)) == len(names) > 2 * len(PLACES)


def test_what_only_a_person_can_know_is_decided_by_the_ledger(suite: Suite) -> None:
    text = suite.agent_file.read_text("utf-8")
    suite.agent_file.write_text(text.replace("@wire_money.observe\n", ""), "utf-8")
    suite.write(EVERY % INPUT)
    ran = suite.run("-k", "effect.acted or effect.begun")
    assert ran.code == 0, ran.output
    suite.write(
        'def test_one(tape_run, crash_at):\n    crash_at("effect.acted")\n    assert tape_run("x").status == "STUCK"\n'
    )
    assert suite.run().code == 0


def test_the_own_assertions_of_a_test_count(suite: Suite) -> None:
    suite.write((EVERY % INPUT) + "    assert result.asks == 3\n")
    ran = suite.run("-k", "1-KILL or lease")
    assert ran.failed == ["test_it[decision.replied-1-KILL]"], ran.output
