"""The page about the plugin: what can be pasted runs, and what is there is described."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from tape.lab.pytest_plugin import EVERY, PROJECT
from tape.testing import CrashAt, RunResult, StandIn, TapeClock, TapeRun
from tests.docs.pages import ROOT, blocks, python_of
from tests.pytest_plugin.suite import Suite
from tests.pytest_plugin.test_every import PLACES

PAGE = ROOT / "docs" / "reference" / "pytest.md"
TEXT = PAGE.read_text("utf-8")


def test_the_pasted_file_passes(suite: Suite) -> None:
    (block,) = blocks(PAGE, "python")
    suite.write(block.text, "tests/test_crashes.py")
    ran = suite.run("-n", "2")
    assert ran.code == 0, ran.output
    assert len(ran.said) == 1 + len(PLACES)
    assert "test_pays_once_wherever_it_dies[effect.acted-1-wire_money-KILL]" in ran.said
    assert "[effect.acted-1-wire_money-KILL]" in TEXT


def test_the_pasted_file_fails_for_an_agent_that_is_wrong(suite: Suite) -> None:
    suite.make_wrong()
    suite.write(python_of(PAGE), "tests/test_crashes.py")
    ran = suite.run("-k", "looked_up or acted")
    assert len(ran.failed) == 2, ran.output
    (shown,) = [block.text for block in blocks(PAGE, "") if block.text.startswith("wire_money is declared")]
    assert " ".join(shown.split()) in ran.output


@pytest.mark.parametrize("name", [*(field.name for field in fields(RunResult)), "effect", "faults", "assert_contract"])
def test_every_part_of_a_result_is_described(name: str) -> None:
    if not name.startswith("_") and name not in ("run_id", "seconds"):
        assert f"`{name}" in TEXT, name


@pytest.mark.parametrize("made", [TapeRun, CrashAt])
def test_every_argument_is_described(made: type) -> None:
    for name in [*inspect.signature(made.__call__).parameters][1:]:
        assert f"`{name}`" in TEXT or f"{name}(" in TEXT or name == "point", name


@pytest.mark.parametrize("made", [StandIn, TapeClock])
def test_every_method_is_described(made: type) -> None:
    for name in [name for name in vars(made) if not name.startswith("_")]:
        assert f"`{name}" in TEXT or f".{name}(" in TEXT, name


@pytest.mark.parametrize("name", [EVERY, PROJECT])
def test_the_marks_are_described(name: str) -> None:
    assert f"@pytest.mark.{name}(" in TEXT
