"""What is loaded when: an author's module costs milliseconds, and the agent's process never sees the journal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {
    "asyncio", "pydantic", "pydantic_core", "orjson", "sqlmodel", "sqlalchemy", "sqlite3", "textual", "typer", "psutil",
    "inspect", "logging", "socket", "subprocess", "threading", "selectors", "yaml", "json",
}  # fmt: skip
NEVER_IN_AN_AGENT = {"sqlmodel", "sqlalchemy", "sqlite3", "typer", "textual", "psutil", "yaml", "tape.core.journal"}

AUTHOR = """
import tape

@tape.tool(semantics="non_idempotent", authoritative=True, settle_delay=0.2)
async def wire_money(to: str, amount_minor: int) -> dict:
    return {}

@wire_money.observe
async def find_wire(effect: tape.Effect) -> tape.Observation:
    return tape.absent()

@wire_money.compensate(semantics="idempotent")
def recall_wire(effect: tape.Effect) -> None: ...

@tape.tool
def plain(to: str) -> None: ...

@tape.model(max_tokens=100, max_usd=0.1)
async def ask_model(task: str) -> str:
    return task

@tape.agent(budget=tape.Budget(usd=1.0))
async def treasury(run: tape.Run, task: str) -> str:
    return task
"""


def loaded_by(code: str) -> set[str]:
    """The modules that the code loads beyond what a bare interpreter has."""
    program = (
        "import sys; before = set(sys.modules)\n"
        + code
        + "\nimport json; print(json.dumps(list(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def bare() -> set[str]:
    return loaded_by("import typing, dataclasses, contextvars, functools, collections.abc")


@pytest.mark.parametrize("code", ["import tape", AUTHOR], ids=["import", "decorators"])
def test_an_authors_module_is_light(code: str, bare: set[str]) -> None:
    """Whatever typing and dataclasses need is there anyway; beyond that nothing heavy comes along."""
    loaded = loaded_by(code)
    assert not (loaded - bare) & HEAVY


def test_few_modules_come_along(bare: set[str]) -> None:
    assert len([name for name in loaded_by("import tape") if name.startswith("tape")]) == 1
    own = {name for name in loaded_by(AUTHOR) - bare if not name.startswith("_")}
    assert {name for name in own if name.startswith("tape.")} <= {
        "tape.core", "tape.core.kernel", "tape.core.kernel.errors", "tape.core.kernel.resolution", "tape.core.sdk",
        "tape.core.sdk.decorators", "tape.core.sdk.effects", "tape.core.sdk.run",
    }  # fmt: skip
    assert len(own) < 15, sorted(own)


def test_the_agents_process_reaches_no_journal_and_no_screen() -> None:
    loaded = loaded_by("import tape.core.agent.process")
    assert not {name for name in loaded if name in NEVER_IN_AN_AGENT or name.partition(".")[0] in NEVER_IN_AN_AGENT}
    assert not {name for name in loaded if name.startswith(("tape.core.journal", "tape.core.server", "tape.reactors"))}


def test_every_public_name_is_there() -> None:
    import tape

    for name in tape.__all__:
        assert getattr(tape, name) is not None
    assert sorted(tape.__all__) == list(tape.__all__)
    with pytest.raises(AttributeError, match="module 'tape' has no attribute 'decide'"):
        tape.decide  # type: ignore[attr-defined]  # noqa: B018
