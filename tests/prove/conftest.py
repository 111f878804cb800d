"""Proofs of little projects, each in a process of its own, as `tape prove` is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
AGENTS = Path(__file__).with_name("agents")
LIMIT_SECONDS = 110

Proofs = dict[str, Any]
Prove = Callable[..., Proofs]


@pytest.fixture
def prove(tmp_path: Path) -> Prove:
    """`prove(folder, *agents, pairs=, patience=)`: by agent its proof as JSON, or one line of wrong usage. `patience`:
    seconds after which a run counts as endless."""

    def proofs(folder: str, *agents: str, **options: Any) -> Proofs:
        home = tmp_path / folder
        shutil.copytree(AGENTS / folder, home)
        shutil.copy(AGENTS / "web.py", home)
        words = [word for name, value in options.items() for word in (f"--{name}", json.dumps(value))]
        done = subprocess.run(
            [sys.executable, "-m", "tests.prove.run", str(home), *agents, *words],
            cwd=ROOT,
            env={**os.environ, "MARKER": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return proofs


def carriers_of(marker: Path) -> list[str]:
    """The command lines of processes that live on with the marker in them."""
    found: list[str] = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has just ended
        if str(marker) in words:
            found.append(" ".join(words))
    return found


def sentences(proof: Any) -> dict[tuple[str, str], str]:
    """By mistake and tool what is said about it."""
    return {(cause["mistake"], cause["tool"]): cause["sentence"] for cause in proof["causes"]}


def cells(proof: Any, mistake: str, tool: str) -> set[str]:
    """Where it shows."""
    return {
        cell
        for cause in proof["causes"]
        if (cause["mistake"], cause["tool"]) == (mistake, tool)
        for cell in cause["cells"]
    }


def assert_acquitted(proof: Any) -> None:
    """Nothing is wrong, nothing was left out, and each death was really dealt."""
    assert isinstance(proof, dict), proof
    assert proof["holds"], [cause["sentence"] for cause in proof["causes"]]
    assert proof["marks"]["missed"] == 0
    assert len(proof["notes"]) == (proof["status"] != "TERMINAL"), proof["notes"]
    assert proof["cells"] > 20
    assert [result["label"] for result in proof["results"] if not result["kills"]] == []
