"""Agents with bad manners get a verdict in bounded time, and nothing of them lives on."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.prove.conftest import Prove, assert_acquitted, carriers_of, sentences

pytestmark = pytest.mark.slow


def test_bad_manners_that_do_no_harm(prove: Prove, tmp_path: Path) -> None:
    """Deaf to SIGTERM, with garbage on its output and a child in a session of its own; and one that always fails."""
    proofs = prove("unruly", "rude", "failing")
    assert_acquitted(proofs["rude"])
    assert proofs["rude"]["status"] == "TERMINAL"
    assert carriers_of(tmp_path) == []
    assert_acquitted(proofs["failing"])
    assert {result["status"] for result in proofs["failing"]["results"]} == {"FAILED"}


def test_runs_that_do_not_end(prove: Prove, tmp_path: Path) -> None:
    started = time.monotonic()
    proofs = prove("unruly", "endless", "endless_later", "aborting", patience=4)
    endless, aborting = proofs["endless"], proofs["aborting"]
    assert "does not end although nothing is killed" in sentences(endless)["no-good-run", ""]
    assert endless["cells"] == aborting["cells"] == 0
    told = sentences(aborting)["no-good-run", ""]
    assert "the run is STUCK although nothing is killed: 5 deaths in a row without a new record" in told
    later = sentences(proofs["endless_later"])
    assert list(later) == [("never-ends", "")]
    late = r"after the kill the run did not come to rest within \d+(\.\d)? s: it is RUNNING"
    assert re.search(late, later["never-ends", ""])
    assert proofs["endless_later"]["notes"] == ["stopped after 6 trials that did not end"]
    assert proofs["endless_later"]["cells"] < 20
    assert carriers_of(tmp_path) == []
    assert time.monotonic() - started < 90


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("import_fails", "broken.py:5: broken cannot be loaded: ValueError: invalid literal"),
        ("import_ends", "the agent process ends before it is ready (exit 3)"),
    ],
)
def test_projects_that_cannot_be_loaded(prove: Prove, folder: str, line: str) -> None:
    said = prove(folder, "agent")["agent"]
    assert isinstance(said, str) and said.startswith(line) and "\n" not in said
