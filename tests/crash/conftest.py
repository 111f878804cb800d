"""Fixtures of the crash tests. Each test that used a stage is judged at its end by the checker."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import settling
from tape.core.kernel.points import POINTS
from tape.core.kernel.policy import AskPolicy, Backoff
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
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look-ups that say `unclear` are asked again after milliseconds, not seconds."""
    monkeypatch.setattr(settling, "ASKS", AskPolicy(backoff=Backoff(first_us=10_000, cap_us=50_000), max_asks=4))


@pytest.fixture(autouse=True)
def judged(request: pytest.FixtureRequest) -> Iterator[list[Stage]]:
    """Every stage that a test opens is closed and judged here, whatever the test itself looked at."""
    stages: list[Stage] = []
    yield stages
    for stage in stages:
        stage.close()
    for stage in stages:
        _note_points(request.config, stage)
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
    shared = getattr(config, "workerinput", {}).get("testrunuid") or getattr(config.option, "testrunuid", None)
    folder = Path(tempfile.gettempdir()) / f"tape-crash-points-{shared or uuid.uuid4().hex}"
    config.stash[TOGETHER] = folder


def _note_points(config: pytest.Config, stage: Stage) -> None:
    folder = config.stash[TOGETHER]
    folder.mkdir(exist_ok=True)
    hit = sorted({event.point for event in stage.watch.of("point_reached")})
    if hit:
        (folder / f"{uuid.uuid4().hex}.json").write_text(json.dumps(hit))
