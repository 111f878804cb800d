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
