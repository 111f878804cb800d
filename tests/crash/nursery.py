"""Agent processes for nearly all stages of one test process: forked from servers that have loaded the crew before.

A forked agent is one like any other: killed by its pid, found by its nonce, told dead by the supervisor. What is about
the birth of a process starts each anew, and so does everything if `CRASH_EXEC` is set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tape.core.server.forkserver import ForkedChild, ForkServer
from tests.crash.layout import SETTLE, configured

LIVES = 2


class Nursery:
    """Fork servers that take turns: who takes a run over has loaded the crew by itself. Context manager."""

    def __init__(self, root: Path) -> None:
        agents = {name: str(target) for name, target in configured(root, root).agents.items()}
        self._make = lambda: ForkServer(root, agents, {"CRASH_SETTLE": str(SETTLE)})
        self._servers = [self._make() for _ in range(LIVES)]
        self._turn = 0
        self.pids: list[int | None] = []
        """Of the servers, when the stage was opened."""

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()

    def open(self) -> None:
        """Before a stage: whatever an earlier one has done to a server, each lives."""
        for place, server in enumerate(self._servers):
            if server.pid is None or not server.holds(server.pid):
                server.close()
                server = self._servers[place] = self._make()
                server.start()
            else:
                server.refused = ""
        self.pids = [server.pid for server in self._servers]

    def fork(self, environment: Mapping[str, str], stdout_fd: int, stderr_fd: int) -> ForkedChild | None:
        self._turn += 1
        return self._servers[self._turn % LIVES].fork(environment, stdout_fd, stderr_fd)

    def trouble(self) -> list[str]:
        """After a stage: why an agent was not forked, and which server has not lived through it."""
        found = [f"not forked: {server.refused}" for server in self._servers if server.refused]
        for server, pid in zip(self._servers, self.pids, strict=True):
            if pid is None or not server.holds(pid):
                found.append(f"the fork server {pid} has ended")
        return found


def living_in(root: Path) -> list[int]:
    """Processes of the project: agents, fork servers, and what tools have started."""
    needle = f"TAPE_PROJECT={root}\0".encode()
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if needle in _environment(pid)]


def _environment(pid: int) -> bytes:
    """Empty for one that has ended, and for one of somebody else."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
