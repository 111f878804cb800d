"""A worker is dead when nobody carries its nonce any more: real processes, a child that has left the group, SIGKILL."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tape.core.clock import SystemClock
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

    def started(self, nonce: str, pid: int, start_ticks: int) -> int:
        self.nonce = nonce
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
