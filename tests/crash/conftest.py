"""Fixtures of the crash tests. Each test that used a stage is judged at its end by the checker."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tape.core.kernel.points import POINTS
from tape.lab.upstream import parse_options, start_upstream
from tests.crash.stage import Stage, Upstreams

HERE = Path(__file__).parent
TOGETHER = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstreams]:
    folder = tmp_path_factory.mktemp("upstreams")
    with (
        start_upstream("bank", folder / "bank.jsonl", parse_options({}, "bank")) as bank,
        start_upstream("mint", folder / "mint.jsonl", parse_options({"honours_key": True}, "mint")) as mint,
    ):
        yield Upstreams(bank, mint)


@pytest.fixture(autouse=True)
def judged(request: pytest.FixtureRequest) -> Iterator[list[Stage]]:
    """Every stage that a test opens is closed and judged here, whatever the test itself looked at."""
    stages: list[Stage] = []
    yield stages
    for stage in stages:
        stage.close()
    for stage in stages:
        _share(request.config, "hit", {event.point for event in stage.watch.of("point_reached")})
        stage.judge()


@pytest.fixture
def open_stage(tmp_path: Path, upstreams: Upstreams, judged: list[Stage]) -> Iterator[Callable[..., Stage]]:
    def open_one(**settings: Any) -> Stage:
        stage = Stage(tmp_path / f"stage-{len(judged)}", upstreams, **settings)
        judged.append(stage)
        return stage.open()

    yield open_one
    upstreams.quiet()


@pytest.fixture
def stage(open_stage: Callable[..., Stage]) -> Stage:
    return open_stage()


# --- every point is hit -------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """One folder for all processes of this test run: which points were hit, which files were collected."""
    given = getattr(config, "workerinput", {}).get("testrunuid") or getattr(config.option, "testrunuid", None)
    shared = given or uuid.uuid4().hex
    if hasattr(config.option, "testrunuid"):
        config.option.testrunuid = shared
    config.stash[TOGETHER] = Path(tempfile.gettempdir()) / f"tape-crash-points-{shared}"


def _share(config: pytest.Config, kind: str, facts: set[str]) -> None:
    folder = config.stash[TOGETHER]
    folder.mkdir(exist_ok=True)
    if facts:
        (folder / f"{kind}-{uuid.uuid4().hex}").write_text(json.dumps(sorted(facts)))


def _shared(config: pytest.Config, kind: str) -> set[str]:
    folder = config.stash[TOGETHER]
    return {fact for file in folder.glob(f"{kind}-*") for fact in json.loads(file.read_text())}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _share(config, "file", {item.path.name for item in items if item.path.parent == HERE})


def pytest_sessionfinish(session: pytest.Session) -> None:
    """After all crash tests, and none chosen by hand: every point of the registry must have been hit."""
    config = session.config
    if hasattr(config, "workerinput"):
        return
    chosen = any("::" in argument for argument in config.args) or any(
        getattr(config.option, name, None) for name in ("keyword", "markexpr", "deselect", "lf", "stepwise")
    )
    files = {file.name for file in HERE.glob("test_*.py")}
    missed = {point.name for point in POINTS} - _shared(config, "hit")
    whole = files <= _shared(config, "file") and not chosen
    shutil.rmtree(config.stash[TOGETHER], ignore_errors=True)
    if whole and missed and session.exitstatus == pytest.ExitCode.OK:
        print(f"\nno crash test hits {', '.join(sorted(missed))}", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
