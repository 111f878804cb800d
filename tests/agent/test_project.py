"""The project's agents are loaded from its own folder, or it says in one line why not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tape.core.agent.project import load_agents
from tape.core.kernel.errors import UsageError
from tape.core.sdk.decorators import TOOLS

GOOD = "import tape\n@tape.agent\nasync def treasury(run): ...\n@tape.agent\nasync def bank(run): ...\n"


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    modules, path, tools = set(sys.modules), list(sys.path), dict(TOOLS)
    TOOLS.clear()
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    sys.path[:] = path
    TOOLS.clear()
    TOOLS.update(tools)


def project(folder: Path, source: str, name: str = "shop") -> Path:
    package = folder / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "agent.py").write_text(source)
    return folder


def test_agents_by_name(tmp_path: Path) -> None:
    root = project(tmp_path, GOOD)
    agents = load_agents(root, {"one": "shop.agent:treasury", "two": "shop.agent:bank"})
    assert {name: agent.name for name, agent in agents.items()} == {"one": "treasury", "two": "bank"}
    assert sys.path[0] == str(root)
    load_agents(root, {"one": "shop.agent:treasury"})
    assert sys.path.count(str(root)) == 1


WRONG = [
    (GOOD, "shop.agent:treasurer", r"shop.agent has no agent 'treasurer'; it has: bank, treasury"),
    ("x = 1\n", "shop.agent:x", r"mark a function with @tape.agent"),
    (GOOD, "shop.agents:treasury", r"the module shop.agents cannot be loaded: No module named 'shop.agents'"),
    (GOOD, "store:treasury", r"looked in .* first"),
    ("import tape\nimport no_such_module\n", "shop.agent:x", r"agent.py:2: .*no_such_module"),
    ("import tape\n\n1 / 0\n", "shop.agent:x", r"agent.py:3: shop.agent cannot be loaded: ZeroDivisionError"),
    ("def broken(:\n", "shop.agent:x", r"agent.py:1: .*SyntaxError"),
    ("import tape\n@tape.tool(semantics='odd')\ndef pay(): ...\n", "shop.agent:x", r"semantics is 'odd'"),
]


@pytest.mark.parametrize(("source", "target", "says"), WRONG, ids=[says for _, _, says in WRONG])
def test_what_cannot_be_loaded_is_one_line(tmp_path: Path, source: str, target: str, says: str) -> None:
    root = project(tmp_path, source)
    with pytest.raises(UsageError, match=says) as caught:
        load_agents(root, {"x": target})
    assert "\n" not in str(caught.value)


def test_a_module_of_the_same_name_from_elsewhere_is_refused_with_both_paths(tmp_path: Path) -> None:
    elsewhere = project(tmp_path / "elsewhere", GOOD, "store")
    sys.path.insert(0, str(elsewhere))
    __import__("store.agent")
    root = project(tmp_path / "mine", GOOD, "store")
    with pytest.raises(UsageError) as caught:
        load_agents(root, {"x": "store.agent:treasury"})
    assert str(root / "store") in str(caught.value) and str(elsewhere / "store") in str(caught.value)


def test_modules_of_others_with_other_names_are_nobodys_business(tmp_path: Path) -> None:
    elsewhere = project(tmp_path / "elsewhere", GOOD, "other")
    sys.path.insert(0, str(elsewhere))
    __import__("other.agent")
    root = project(tmp_path / "mine", GOOD)
    assert load_agents(root, {"x": "shop.agent:treasury"})
