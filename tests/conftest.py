"""What is true of a whole test run, over all its processes: every crash point was hit, and enough was really killed.

Loaded before the workers start, as a conftest of one suite would not be; so this holds for `-n 2` too.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tape.core.kernel.points import POINTS
from tests import together
from tests.crash import tally

HERE = Path(__file__).parent
CRASH = HERE / "crash"
LEAST_KILLS = 300
HAND_PICKED = ("keyword", "markexpr", "deselect", "lf", "stepwise", "collectonly")
LINES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    together.gather(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    together.share(config, "file", sorted({item.path.name for item in items if item.path.parent == CRASH}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """After all crash tests, and none chosen by hand."""
    config = session.config
    if hasattr(config, "workerinput"):
        return
    counts: Counter[str] = Counter()
    for found in together.shared(config, "counts"):
        counts.update(found)
    hit = {point for points in together.shared(config, "hit") for point in points}
    files = {file for collected in together.shared(config, "file") for file in collected}
    together.part(config)
    chosen = any("::" in argument for argument in config.args) or any(
        getattr(config.option, name, None) for name in HAND_PICKED
    )
    if chosen or not {file.name for file in CRASH.glob("test_*.py")} <= files:
        return
    lines = [f"kills: {tally.line(counts)}"]
    if session.exitstatus == pytest.ExitCode.OK:
        faults = shortcomings(hit, counts)
        if faults:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        lines += [f"FAILED: {fault}" for fault in faults]
    config.stash[LINES] = lines


def shortcomings(hit: set[str], counts: Counter[str]) -> list[str]:
    """Why a run in which every test passed is not good enough."""
    found: list[str] = []
    missed = sorted({point.name for point in POINTS} - hit)
    if missed:
        found.append(f"no crash test hits {', '.join(missed)}")
    kills = sum(counts[name] for name in tally.SIGNALS)
    if kills < LEAST_KILLS:
        found.append(f"{kills} real kills in the whole run, {LEAST_KILLS} are asked for")
    found += [f"{counts[name]} acts are {name}" for name in ("doubled", "lost") if counts[name]]
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in terminalreporter.config.stash.get(LINES, []):
        terminalreporter.write_line(line, red=line.startswith("FAILED"))
