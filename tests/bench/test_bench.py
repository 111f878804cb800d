"""The benchmark runs and writes all its figures. How fast anything is, is not tested here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal.writer import Writer
from tests.bench.figures import Figure, show_ms, table
from tests.bench.steps import stepping

ROOT = Path(__file__).parents[2]
NAMES = [
    "demo, from the command to ASSERT, p50",
    "demo, from the command to ASSERT, worst",
    "SIGKILL to first new record, warm spare, p50",
    "SIGKILL to first new record, warm spare, worst",
    "one agent step, p50",
    "one agent step under a budget, p50",
    "tape status, 50 runs, whole process",
    "import tape, decorators used, above bare Python",
    "a run that waits, 200 runs, journal",
    "200 runs that wait, processor when idle",
    "200 runs, timers and gates due at once, until all have fired",
    "replay of 1,000 entries, p50",
    "bytes per record above its payload",
    "bytes of a turn, last quarter",
    "commit of turn 20, p50",
    "prove, 40 boundaries x each death, command to end, p50",
    "50 children, start to the parent's end",
    "largest agent process of those",
    "console, spawn to first whole screen, p50",
    "console, commit to screen, p50",
    "console, key to screen, 2,000 runs, p95",
    "console, key to screen, 500 entries/s arriving, p95",
    "console, processor when idle",
    "console, memory, 2,000 runs",
]


@pytest.mark.timeout(300)
def test_the_quick_mode_prints_and_writes_every_figure(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--quick", "--json", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    body = json.loads(file.read_text())
    assert [figure["name"] for figure in body["figures"]] == NAMES
    for figure in body["figures"]:
        assert figure["value"] > 0, figure
        assert figure["rounds"] > 0
        assert figure["holds"] is ((figure["ratio"] or figure["value"]) <= figure["limit"])
        assert figure["name"] in done.stdout
    assert body["quick"] is True
    assert {"python", "sqlite", "cores"} <= set(body["machine"])


@pytest.mark.parametrize(
    ("figure", "target", "holds"),
    [
        (Figure("a", 5.0, limit=5), "<= 5.00 ms", True),
        (Figure("a", 5.1, limit=5), "<= 5.00 ms", False),
        (Figure("a", 30.0, limit=3, reference=10.0, against="b"), "<= 3 x b", True),
        (Figure("a", 31.0, limit=3, reference=10.0, against="b"), "<= 3 x b", False),
    ],
)
def test_a_missed_target_is_said(figure: Figure, target: str, holds: bool) -> None:
    assert (figure.target, figure.holds) == (target, holds)
    assert ("holds" if holds else "MISSED") in table([figure])


def test_units() -> None:
    assert Figure("a", 2.04, limit=3, unit="%").target == "<= 3.0 %"
    assert Figure("a", 96.31, limit=150, unit="MB").show(96.31) == "96.3 MB"
    assert [show_ms(ms) for ms in (0.123, 12.34, 123.4, 5000)] == ["0.12 ms", "12.3 ms", "123 ms", "5.00 s"]


@pytest.mark.slow
@pytest.mark.parametrize(("budget", "commits"), [("", 2), ("{usd: 1000.00, tokens: 1000000000}", 3)])
def test_commits_of_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: str, commits: int) -> None:
    """A step is two flushes: the decision with the effect's beginning, and its end. A cap makes it three: what the
    question may cost is held back before it is asked."""
    counted: list[int] = []
    commit = Writer.commit

    def counting(self: Writer, verbs: Any, *more: Any) -> Any:
        counted.append(len(verbs))
        return commit(self, verbs, *more)

    monkeypatch.setattr(Writer, "commit", counting)
    steps = 50
    with stepping(tmp_path / "stepper", steps, budget) as one_run:
        counted.clear()
        one_run()
    assert commits * steps <= len(counted) <= commits * steps + 25, "and a few for its start, its lease, heartbeats"
