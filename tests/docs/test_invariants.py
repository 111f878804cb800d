"""Each invariant names tests that can fail, and those tests exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "reference" / "invariants.md"
ROWS = {
    found["name"]: re.findall(r"`(tests/[^`]*)`", found["tests"])
    for found in re.finditer(
        r"^\| (?P<name>I\d+) \| \*\*[^|]*\*\*[^|]* \| (?P<tests>.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
}


def test_every_invariant_has_its_row() -> None:
    assert list(ROWS) == [f"I{number}" for number in range(1, 16)]


@pytest.mark.parametrize("name", list(ROWS))
def test_its_tests_exist(name: str) -> None:
    assert len(ROWS[name]) >= 2
    for node in ROWS[name]:
        file, _, function = node.partition("::")
        module = ast.parse((ROOT / file).read_text("utf-8"))
        assert function in {item.name for item in module.body if isinstance(item, ast.FunctionDef)}, node


@pytest.mark.parametrize("name", list(ROWS))
def test_one_of_them_plants_a_violation_or_is_no_crash_test(name: str) -> None:
    """Crash tests alone could pass because nothing happens."""
    assert any("test_checker.py" in node or not node.startswith("tests/crash/") for node in ROWS[name])


@pytest.mark.parametrize("part", ["gates", "children", "forks", "left", "persons"])
def test_each_part_of_the_journal_is_aimed_at(part: str) -> None:
    """Gates, children, forks, what is left to itself, what persons decide: in the journal, and under real deaths. (The
    caps are a row of their own, I10.)"""
    named = {node.partition("::")[0] for nodes in ROWS.values() for node in nodes}
    assert f"tests/journal/test_{part}.py" in named
    crash = f"tests/crash/test_{part}.py"
    assert crash in named or not (ROOT / crash).exists()


def test_no_row_names_a_test_twice() -> None:
    assert [name for name, nodes in ROWS.items() if len(nodes) != len({*nodes})] == []
