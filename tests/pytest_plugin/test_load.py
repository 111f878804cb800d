"""A suite that does not use the plugin hardly pays for it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

import tape.testing
from tests.pytest_plugin.suite import Suite

HEAVY = (
    "sqlmodel",
    "sqlalchemy",
    "textual",
    "pydantic",
    "psutil",
    "typer",
    "yaml",
    "orjson",
    "tape.reactors",
    "tape.core",
)
LOADED = {"tape", "tape.lab", "tape.lab.pytest_plugin"}

TELLS = """
import json, pathlib, sys

def pytest_sessionfinish(session):
    known = session.config.pluginmanager.has_plugin("tape")
    pathlib.Path(f"modules-{known}.json").write_text(json.dumps(sorted(sys.modules)))
"""


def modules_after(code: str) -> set[str]:
    text = f"import sys, pytest; before = set(sys.modules); {code}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def heavy(modules: set[str]) -> list[str]:
    return sorted(name for name in modules if name.startswith(HEAVY))


def test_pytest_finds_it() -> None:
    entries = {entry for found in distributions() for entry in found.entry_points if entry.group == "pytest11"}
    assert [entry.value for entry in entries if entry.name == "tape"] == ["tape.lab.pytest_plugin"]


def test_loading_it_loads_nothing_but_itself() -> None:
    assert modules_after("import tape.lab.pytest_plugin") == LOADED


def test_the_types_are_loaded_when_they_are_used() -> None:
    assert modules_after("import tape.testing") == {"tape", "tape.testing"}
    assert heavy(modules_after("from tape.testing import RunResult")), "the test itself would not notice"


@pytest.mark.parametrize("name", tape.testing.__all__)
def test_every_type_is_there(name: str) -> None:
    assert isinstance(getattr(tape.testing, name), type)


def test_there_is_nothing_else() -> None:
    with pytest.raises(AttributeError, match=r"module 'tape.testing' has no attribute 'nothing'"):
        _ = tape.testing.nothing  # type: ignore[attr-defined]


def test_a_suite_without_it_loads_no_more(suite: Suite) -> None:
    suite.write("def test_nothing():\n    pass\n")
    suite.write(TELLS, "conftest.py")
    assert suite.run().code == suite.run("-p", "no:tape").code == 0
    found = [json.loads((suite.folder / f"modules-{known}.json").read_text()) for known in (True, False)]
    assert set(found[0]) - set(found[1]) == LOADED


def test_this_suite_has_it_too(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.has_plugin("tape")
    assert Path(pytestconfig.pluginmanager.get_plugin("tape").__file__).name == "pytest_plugin.py"
