"""How an agent process comes to be: exec'ed, or forked from a fork server that has the project loaded."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from tape.core.server.forkserver import ForkedChild


@dataclass(frozen=True, slots=True)
class Launch:
    """How an agent process is started: the command, the folder, the environment it adds."""

    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]


class Child(Protocol):
    """A process that is ours to end. Its pid is no stranger's until `wait` has returned."""

    @property
    def pid(self) -> int: ...
    @property
    def pidfd(self) -> int | None: ...
    def send(self, signal_: signal.Signals) -> None:
        """To the process itself."""
        ...

    def send_group(self, signal_: signal.Signals) -> None: ...
    def wait(self) -> int:
        """Its exit code, negative for a signal, when it is dead."""
        ...


@dataclass(frozen=True, slots=True)
class ExecedChild:
    """An agent process that is a child of this one. No pidfd: the system has none."""

    popen: subprocess.Popen[bytes]
    pidfd: int | None

    @property
    def pid(self) -> int:
        return self.popen.pid

    def send(self, signal_: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal_)

    def send_group(self, signal_: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal_)

    def wait(self) -> int:
        return self.popen.wait()


class Forks(Protocol):
    """Where processes are forked from: a `ForkServer`, or several that take turns."""

    def fork(self, environment: Mapping[str, str], stdout_fd: int, stderr_fd: int) -> ForkedChild | None: ...


def spawn(launch: Launch, nonce: str, forks: Forks | None) -> tuple[Child, tuple[IO[bytes], IO[bytes]]]:
    """The process, and what it says on stdout and stderr."""
    environment = {
        **os.environ,
        **launch.environment,
        "TAPE_NONCE": nonce,
        "TAPE_SUPERVISOR_PID": str(os.getpid()),
    }
    forked = None if forks is None else _fork(forks, environment)
    return forked or _exec(launch, environment)


def _fork(forks: Forks, environment: Mapping[str, str]) -> tuple[Child, tuple[IO[bytes], IO[bytes]]] | None:
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        out, out_write = _pipe(ours, theirs)
        err, err_write = _pipe(ours, theirs)
        child = forks.fork(environment, out_write, err_write)
        if child is None:
            return None
        ours.pop_all()
        return child, (out, err)


def _pipe(ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[IO[bytes], int]:
    read, write = os.pipe()
    theirs.callback(os.close, write)
    return ours.enter_context(open(read, "rb", buffering=0)), write


def _exec(launch: Launch, environment: Mapping[str, str]) -> tuple[Child, tuple[IO[bytes], IO[bytes]]]:
    popen = subprocess.Popen(
        launch.command,
        cwd=launch.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert popen.stdout is not None and popen.stderr is not None
    return ExecedChild(popen, _open_pidfd(popen.pid)), (popen.stdout, popen.stderr)


def _open_pidfd(pid: int) -> int | None:
    opener = getattr(os, "pidfd_open", None)
    if opener is None:
        return None
    try:
        return int(opener(pid))
    except OSError:
        return None
