"""What other crash tests stand on: their agents are forked, and a fork server that dies troubles one stage alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tape.core.server.forkserver import ForkServer
from tests.crash.conftest import pid_of
from tests.crash.nursery import Nursery, living_in
from tests.crash.stage import House, Stage

pytestmark = pytest.mark.skipif(not ForkServer.available(), reason="no pidfds here")
STEPS = (["ask"], ["call", "wire", 1], ["ask"])


@pytest.fixture(scope="module")
def nursery(crew: Path) -> Iterator[Nursery]:
    """One of its own: it is ill-treated."""
    with Nursery(crew) as own:
        yield own


def parents(stage: Stage) -> set[int]:
    pids = [process.pid for process in stage.host.supervisor.processes()]
    return {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in pids}


def test_agents_of_all_stages_are_forked_in_turns(open_stage: Callable[..., Stage], nursery: Nursery) -> None:
    for _ in range(2):
        stage = open_stage(workers=3)
        stage.watch.until(lambda stage=stage: len(parents(stage)) == 2, "both have given birth")
        assert parents(stage) == set(nursery.pids)
        stage.arm("effect.acted")
        assert stage.until_rest(stage.run(*STEPS)) == "TERMINAL"
        stage.close()
        assert nursery.trouble() == []


def test_a_fork_server_that_is_killed_is_the_trouble_of_one_stage(house: House, tmp_path: Path) -> None:
    """Its agents die with it and are started anew; the stage says so, and the next one has a server that lives."""
    nursery = house.nursery
    assert nursery is not None
    stage = Stage(tmp_path / "one", house).open()
    (first, second) = nursery.pids
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert stage.until_rest(stage.run(*STEPS)) == "TERMINAL"
    with pytest.raises(AssertionError, match=f"the fork server {first} has ended"):
        stage.judge()
    other = Stage(tmp_path / "other", house).open()
    assert nursery.pids[1] == second
    assert nursery.pids[0] not in (None, first)
    assert other.until_rest(other.run(*STEPS)) == "TERMINAL"
    other.judge()


def test_an_agent_that_is_not_forked_is_told(house: House, tmp_path: Path) -> None:
    stage = Stage(tmp_path, house, settle=0.07).open()
    assert stage.until_rest(stage.run(*STEPS)) == "TERMINAL"
    with pytest.raises(AssertionError, match="not forked: the project was loaded with another CRASH_SETTLE"):
        stage.judge()


def test_who_lives_in_a_project_is_found(tmp_path: Path) -> None:
    assert living_in(tmp_path) == []
    code = "print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "TAPE_PROJECT": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert living_in(tmp_path) == [process.pid]
        pidfd = os.pidfd_open(process.pid)
        try:
            assert pid_of(pidfd) == process.pid
        finally:
            os.close(pidfd)
        process.kill()
        process.wait()
    assert living_in(tmp_path) == []
