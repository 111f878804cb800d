"""The hashes that stand with each decision: of the project's modules, and of what its tools declare."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import tape
from tape.core.sdk import change
from tape.core.sdk.decorators import TOOLS
from tests.sdk.player import play


async def think(what: str) -> str:
    return what


async def asks(run: tape.Run) -> str:
    return await run.decide(think, "x")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of two loaded modules, beside one that is not loaded and one that is installed in it."""
    files = ("app/agent.py", "app/tools.py", "other.py", ".venv/lib/site-packages/dep.py")
    for number, name in enumerate(files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"x = {number}\n")
        if name != "other.py":
            module = types.ModuleType(f"loaded{number}")
            module.__file__ = str(tmp_path / name)
            monkeypatch.setitem(sys.modules, module.__name__, module)
    yield tmp_path
    change.note_project(Path("/nowhere"))


def code(root: Path) -> str:
    change.note_project(root)
    return change.code_hash()


def test_the_code_is_what_is_loaded_of_the_project(project: Path) -> None:
    first = code(project)
    assert len(first) == 16 and int(first, 16) >= 0
    (project / "other.py").write_text("x = 'changed'\n")
    (project / ".venv/lib/site-packages/dep.py").write_text("x = 'changed'\n")
    assert code(project) == first
    (project / "app/tools.py").write_text("x = 'changed'\n")
    assert change.code_hash() == first, "once per process"
    second = code(project)
    assert second != first
    (project / "app/tools.py").write_text("x = 1\n")
    assert code(project) == first


def test_the_same_code_in_another_folder_is_the_same(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = code(project)
    other = tmp_path_factory.mktemp("other")
    for module in [module for name, module in sys.modules.items() if name.startswith("loaded")]:
        file = other / Path(str(module.__file__)).relative_to(project)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(Path(str(module.__file__)).read_bytes())
        module.__file__ = str(file)
    assert code(other) == first


def test_nothing_loaded_is_no_hash() -> None:
    assert code(Path("/nowhere")) == ""


class Address(BaseModel):
    city: str


def declared(monkeypatch: pytest.MonkeyPatch, **options: Any) -> str:
    monkeypatch.setattr(change, "TOOLS", {})

    async def pay(to: str, where: Address) -> str:
        return to

    function = options.pop("function", pay)
    made: Any = tape.tool(name="pay", **options)(function)
    TOOLS.pop("pay")
    monkeypatch.setattr(change, "TOOLS", {"pay": made})
    change.tools_hash.cache_clear()
    try:
        return change.tools_hash()
    finally:
        change.tools_hash.cache_clear()


def test_a_declaration_that_changes_changes_the_tools_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    async def without_types(to, where):  # type: ignore[no-untyped-def]
        return to

    async def renamed(whom: str, where: Address) -> str:
        return whom

    class Other(BaseModel):
        city: str
        street: str

    async def deeper(to: str, where: Other) -> str:
        return to

    same = [declared(monkeypatch) for _ in range(2)]
    others = [
        declared(monkeypatch, semantics="idempotent"),
        declared(monkeypatch, settle_delay=1),
        declared(monkeypatch, timeout=3),
        declared(monkeypatch, business_key=lambda to, where: to),
        declared(monkeypatch, function=without_types),
        declared(monkeypatch, function=renamed),
        declared(monkeypatch, function=deeper),
    ]
    assert same[0] == same[1] and len(same[0]) == 16
    assert len({same[0], *others}) == len(others) + 1


def test_each_decision_says_what_it_was_recorded_with(project: Path) -> None:
    first = code(project)
    recorded = play(asks).server.records[1][2]
    assert (recorded["code"], recorded["tools"]) == (first, change.tools_hash())


def test_changed_code_that_fits_goes_on(project: Path) -> None:
    code(project)
    whole = play(asks)
    (project / "app/agent.py").write_text("x = 'changed'\n")
    code(project)
    assert play(asks, whole.server.cut(3)).result == "x"


def test_a_misfit_says_that_the_code_has_changed_and_to_where_the_tape_fits(project: Path) -> None:
    code(project)
    whole = play(asks)

    async def asks_else(run: tape.Run) -> str:
        return await run.decide(think, "y")

    plain = play(asks_else, whole.server.cut(3))
    assert plain.diverged.endswith("kwargs={})")
    (project / "app/agent.py").write_text("x = 'changed'\n")
    code(project)
    changed = play(asks_else, whole.server.cut(3))
    assert changed.diverged == f"{plain.diverged}; since decision 0 the project's code changed"
    assert changed.server.sent("diverge")[0]["fits_to"] == 1
