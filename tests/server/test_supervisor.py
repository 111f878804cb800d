"""A worker is dead when nobody carries its nonce any more: real processes, a child that has left the group, SIGKILL."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tape.core.clock import SystemClock
from tape.core.kernel.errors import JournalUnavailable
from tape.core.server.supervisor import Launch, Notices, Supervisor, carriers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SECONDS = 20.0
PARENT = """\
import subprocess, sys
say = "echo $$; sleep 60; :"  # it says so itself: before that it may still be inside exec
subprocess.run(["/bin/sh", "-c", say], stdin=subprocess.DEVNULL, start_new_session=sys.argv[1] == "apart")
"""


@dataclass
class Told:
    """What the supervisor says, and who still carried the nonce when it told of the death."""

    nonce: str = ""
    child: int = 0
    how: str = ""
    proven: bool = False
    left: list[int] | None = None
    said: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    failed: queue.SimpleQueue[Exception] = field(default_factory=queue.SimpleQueue)
    troubles: list[str] = field(default_factory=list)
    writable: bool = True

    def started(self, nonce: str, pid: int, start_ticks: int) -> int:
        self.nonce = nonce
        if not self.writable:
            raise JournalUnavailable("the disk is full")
        return 1

    def spoke(self, number: int, pid: int, line: str) -> None:
        self.child = int(line)
        self.said.set()

    def died(self, number: int, how: str, proven: bool) -> None:
        self.left, self.how, self.proven = carriers(self.nonce), how, proven
        self.over.set()


@pytest.fixture
def told() -> Iterator[Told]:
    heard = Told()
    yield heard
    for pid in carriers(heard.nonce) or []:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("child", ["in the group", "apart"])
def test_a_death_is_told_when_the_children_are_dead_too(tmp_path: Path, told: Told, child: str) -> None:
    launch = Launch((sys.executable, "-c", PARENT, child.split()[0]), tmp_path, {})
    supervisor = Supervisor(launch, Notices(told.started, told.died, told.spoke), SystemClock())
    supervisor.run()
    try:
        supervisor.start()
        assert told.said.wait(SECONDS)
        assert told.child in (carriers(told.nonce) or [])
        supervisor.kill(1, "by the test")
        assert told.over.wait(SECONDS)
    finally:
        supervisor.stop()
    assert (told.how, told.proven) == ("SIGKILL: by the test", True)
    assert told.left == [], "the next attempt would have started beside a living child"


def sleeping(folder: Path, told: Told) -> Supervisor:
    notices = Notices(told.started, told.died, told.spoke, told.failed.put, told.troubles.append)
    return Supervisor(Launch(("sleep", "60"), folder, {}), notices, SystemClock())


@pytest.mark.parametrize("trouble", ["the journal cannot be written", "the folder is gone"])
def test_a_start_that_comes_to_nothing_is_told_and_the_next_one_works(tmp_path: Path, told: Told, trouble: str) -> None:
    folder = tmp_path / "project"
    if trouble == "the journal cannot be written":
        folder.mkdir()
        told.writable = False
    supervisor = sleeping(folder, told)
    supervisor.run()
    try:
        supervisor.start()
        error = told.failed.get(timeout=SECONDS)
        assert isinstance(error, JournalUnavailable if folder.exists() else FileNotFoundError)
        assert supervisor.count() == 0
        assert not told.nonce or carriers(told.nonce) == [], "a process that is no worker would live on"
        folder.mkdir(exist_ok=True)
        told.writable = True
        supervisor.start()
        supervisor.kill(1, "by the test")  # as soon as it is there
        assert told.over.wait(SECONDS) and told.how.startswith("SIGKILL")
        assert (supervisor.count(), supervisor.fatal, told.troubles) == (0, None, [])
    finally:
        supervisor.stop()


def test_an_error_that_nobody_foresaw_ends_every_agent_and_is_told(tmp_path: Path, told: Told) -> None:
    notices = Notices(told.started, told.died, told.spoke, trouble=told.troubles.append)
    talking = Launch(("sh", "-c", "echo no number; sleep 60"), tmp_path, {})  # the test's own listener fails over it
    supervisor = Supervisor(talking, notices, SystemClock())
    supervisor.run()
    supervisor.start()
    assert told.over.wait(SECONDS)
    assert isinstance(supervisor.fatal, ValueError)
    assert [text.startswith("the supervisor ends: ValueError: ") for text in told.troubles] == [True]
    assert carriers(told.nonce) == []
    supervisor.start()
    supervisor.stop()
