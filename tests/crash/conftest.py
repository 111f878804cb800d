"""Fixtures of the crash tests. Each test that used a stage is judged at its end by the checker."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from signal import SIGSTOP, SIGTERM
from typing import Any

import pytest

from tape.core.server.forkserver import ForkServer
from tape.lab.upstream import parse_options, start_upstream
from tests import together
from tests.crash import checker, tally
from tests.crash.checker import Evidence
from tests.crash.layout import Upstreams, lay_out
from tests.crash.nursery import Nursery, living_in
from tests.crash.stage import House, Stage


@pytest.fixture(scope="session")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstreams]:
    folder = tmp_path_factory.mktemp("upstreams")
    with (
        start_upstream("bank", folder / "bank.jsonl", parse_options({}, "bank")) as bank,
        start_upstream("mint", folder / "mint.jsonl", parse_options({"honours_key": True}, "mint")) as mint,
    ):
        yield Upstreams(bank, mint)


@pytest.fixture(scope="session")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project that all stages of this process share. Whatever they started has ended when they have."""
    root = lay_out(tmp_path_factory.mktemp("crew"))
    yield root
    assert not living_in(root)


@pytest.fixture(scope="session")
def nursery(crew: Path) -> Iterator[Nursery | None]:
    """A file whose tests are about births has one that is None."""
    if os.environ.get("CRASH_EXEC") or not ForkServer.available():
        yield None
        return
    with Nursery(crew) as nursery:
        yield nursery


@pytest.fixture
def house(upstreams: Upstreams, crew: Path, nursery: Nursery | None) -> House:
    return House(upstreams, crew, nursery)


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

    def pidfd_send_signal(pidfd: int, number: int) -> None:
        pid = pid_of(pidfd)
        send_by_pidfd(pidfd, number)
        sent.add((pid, number))

    monkeypatch.setattr(os, "kill", noted(os.kill))
    monkeypatch.setattr(os, "killpg", noted(os.killpg))
    send_by_pidfd = getattr(signal, "pidfd_send_signal", None)
    if send_by_pidfd is not None:
        monkeypatch.setattr(signal, "pidfd_send_signal", pidfd_send_signal)
    yield
    numbers = [number for _, number in sent]
    counts = {"SIGTERM": numbers.count(SIGTERM), "SIGSTOP": numbers.count(SIGSTOP)}
    together.share(request.config, "counts", counts)


def pid_of(pidfd: int) -> int:
    """-1: it has ended."""
    with open(f"/proc/self/fdinfo/{pidfd}") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pid:"))


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
def open_stage(tmp_path: Path, house: House, judged: list[Stage]) -> Iterator[Callable[..., Stage]]:
    def open_one(**settings: Any) -> Stage:
        stage = Stage(tmp_path / f"stage-{len(judged)}", house, **settings)
        judged.append(stage)
        return stage.open()

    yield open_one
    house.upstreams.quiet()


@pytest.fixture
def stage(open_stage: Callable[..., Stage]) -> Stage:
    return open_stage()
