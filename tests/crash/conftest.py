"""Fixtures of the crash tests. Each test that used a stage is judged at its end by the checker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from signal import SIGSTOP, SIGTERM
from typing import Any

import pytest

from tape.lab.upstream import parse_options, start_upstream
from tests import together
from tests.crash import checker, tally
from tests.crash.checker import Evidence
from tests.crash.stage import Stage, Upstreams


@pytest.fixture(scope="session")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstreams]:
    folder = tmp_path_factory.mktemp("upstreams")
    with (
        start_upstream("bank", folder / "bank.jsonl", parse_options({}, "bank")) as bank,
        start_upstream("mint", folder / "mint.jsonl", parse_options({"honours_key": True}, "mint")) as mint,
    ):
        yield Upstreams(bank, mint)


@pytest.fixture
def counted(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Adds what a journal and the ledgers tell, and the servers that were killed, to the figures of the whole run."""

    def count(evidence: Evidence, untrue: Iterable[str] = (), servers: int = 0) -> None:
        seen = checker.read(evidence)
        killed = tally.workers_killed(seen) + servers
        together.share(request.config, "counts", {**tally.acts_of(seen, untrue), "SIGKILL": killed})

    return count


@pytest.fixture(autouse=True)
def signalled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counts the agents that get a SIGTERM or a SIGSTOP, by a test or at a crash point: journals tell of deaths."""
    sent: set[tuple[int, int]] = set()

    def noted(send: Callable[[int, int], None]) -> Callable[[int, int], None]:
        def kill(pid: int, number: int) -> None:
            send(pid, number)
            sent.add((pid, number))

        return kill

    monkeypatch.setattr(os, "kill", noted(os.kill))
    monkeypatch.setattr(os, "killpg", noted(os.killpg))
    yield
    numbers = [number for _, number in sent]
    counts = {"SIGTERM": numbers.count(SIGTERM), "SIGSTOP": numbers.count(SIGSTOP)}
    together.share(request.config, "counts", counts)


@pytest.fixture(autouse=True)
def judged(request: pytest.FixtureRequest, counted: Callable[..., None]) -> Iterator[list[Stage]]:
    """Every stage that a test opens is closed and judged here, whatever the test itself looked at."""
    stages: list[Stage] = []
    yield stages
    for stage in stages:
        stage.close()
    for stage in stages:
        together.share(request.config, "hit", sorted({event.point for event in stage.watch.of("point_reached")}))
        counted(stage.evidence(), stage.untrue)
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
