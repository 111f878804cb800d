"""The supervisor's side of the fork server: agent processes that need no start of Python and no import of the project.

For drills, which kill and start agents by the hundred. Whatever cannot be forked faithfully is not forked at all: then
`fork` returns None, `refused` says why, and the supervisor starts a process as always.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOAD_SECONDS = 20.0
ANSWER_SECONDS = 10.0
REQUEST_LIMIT = 100_000
STARTS_LIMIT = 3
PLACEHOLDER = "0" * 32
"""As long as a nonce: the child writes its own in its place."""
OWN = frozenset({"TAPE_PROJECT", "TAPE_AGENTS"})
KILLED = -int(signal.SIGKILL)


class ForkServer:
    """One project, loaded once; may serve several hosts, at the same time too. Context manager.

    `environment`: what the agents get beside this process's own. What the project reads from it while it is imported
    binds: a process that is to have another value there is not forked.
    """

    def __init__(self, folder: Path, agents: Mapping[str, str], environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.agents = dict(agents)
        self.environment = dict(environment or {})
        self.refused = ""
        """Why the last process was not forked."""
        self.forked = 0
        self._base: dict[str, str] = {}
        self._read: frozenset[str] = OWN
        self._starts = 0
        self._popen: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._lock = threading.Lock()

    @staticmethod
    def available() -> bool:
        """Whether this system has what it takes: pidfds, and /proc."""
        return sys.platform == "linux" and hasattr(os, "pidfd_open") and os.path.exists("/proc/self/environ")

    def __enter__(self) -> ForkServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """None: it does not run."""
        popen = self._popen
        return None if popen is None else popen.pid

    def start(self) -> None:
        """Returns when the project is loaded, or `refused` says why not."""
        with self._lock:
            self._start()

    def close(self) -> None:
        """Ends the fork server; the kernel ends its children, if any are left."""
        with self._lock:
            self._starts = STARTS_LIMIT
            self._end("it is closed")

    def fork(self, environment: Mapping[str, str], stdout_fd: int, stderr_fd: int) -> ForkedChild | None:
        """An agent process with exactly this environment, among it its TAPE_NONCE. None: start one in another way."""
        with self._lock:
            if self._channel is None and 0 < self._starts < STARTS_LIMIT:
                self._start()
            if self._channel is None or not self._fits(environment):
                return None
            changed = {key: value for key, value in environment.items() if self._base.get(key) != value}
            request = {
                "set": changed,
                "unset": [key for key in self._base if key not in environment],
                "nonce": environment["TAPE_NONCE"],
            }
            data = json.dumps(request).encode()
            if len(data) > REQUEST_LIMIT:
                self.refused = "the environment is too large"
                return None
            answer = self._ask(data, stdout_fd, stderr_fd)
            if answer is None:
                return None
            if "pid" not in answer:
                self.refused = answer["failed"]
                return None
            return self._adopt(answer["pid"])

    def reap(self, pid: int) -> int | None:
        """The exit code of a dead child, negative for a signal; None if nobody can know it."""
        with self._lock:
            if self._channel is None:
                return None
            answer = self._ask(json.dumps({"reap": pid}).encode())
            return None if answer is None else answer["code"]

    def holds(self, server: int) -> bool:
        """Whether this server still lives, and so keeps the pids of its dead children from strangers."""
        popen = self._popen
        return popen is not None and popen.pid == server and popen.poll() is None

    # --- with the lock ----------------------------------------------------------------------------------------

    def _fits(self, environment: Mapping[str, str]) -> bool:
        if len(environment["TAPE_NONCE"]) != len(PLACEHOLDER):
            self.refused = f"its nonce must have {len(PLACEHOLDER)} characters"
            return False
        for key in sorted(self._read):
            if key == "TAPE_AGENTS":
                fits = json.loads(environment[key]) == self.agents
            else:
                fits = environment.get(key) == self._base.get(key)
            if not fits:
                self.refused = f"the project was loaded with another {key}"
                return False
        return True

    def _start(self) -> None:
        if self._channel is not None:
            return
        if not self.available():
            self.refused = "this system has no pidfds"
            return
        self._starts += 1
        self._base = {
            **os.environ,
            "TAPE_PROJECT": str(self.folder),
            "TAPE_AGENTS": json.dumps(self.agents),
            "PYTHONUNBUFFERED": "1",
            **self.environment,
            "TAPE_NONCE": PLACEHOLDER,
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._popen = subprocess.Popen(
                (sys.executable, "-m", "tape.core.agent.forkserver", str(theirs.fileno())),
                cwd=self.folder,
                env=self._base,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._channel = ours
        answer = self._answer(ours, LOAD_SECONDS)
        if answer is None:
            self._starts = STARTS_LIMIT  # what has never been ready is not tried again
            self._end("it ended, or was silent, while it loaded the project")
        elif "ready" not in answer:
            self._starts = STARTS_LIMIT
            self._end(answer["failed"])
        else:
            self._read = OWN | frozenset(answer["read"])
            self.refused = ""

    def _end(self, why: str) -> None:
        self.refused = why
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
            self._popen = None

    def _ask(self, data: bytes, *files: int) -> dict[str, Any] | None:
        """The answer; None if the server is gone or silent: then it is ended."""
        assert self._channel is not None
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        answer = None
        with contextlib.suppress(OSError):
            self._channel.settimeout(ANSWER_SECONDS)
            self._channel.sendmsg([data], rights)
            answer = self._answer(self._channel, ANSWER_SECONDS)
        if answer is None:
            self._end("it has died, or was silent for too long")
        return answer

    @staticmethod
    def _answer(channel: socket.socket, seconds: float) -> dict[str, Any] | None:
        channel.settimeout(seconds)
        try:
            data = channel.recv(REQUEST_LIMIT)
        except OSError:
            return None
        return json.loads(data) if data else None

    def _adopt(self, pid: int) -> ForkedChild | None:
        assert self._popen is not None
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            self._end("it has died")
            return None
        self.forked += 1
        return ForkedChild(self, self._popen.pid, pid, pidfd)


@dataclass(slots=True)
class ForkedChild:
    """An agent process whose parent is the fork server. Its pidfd names it, whatever becomes of its pid."""

    forks: ForkServer
    server: int
    pid: int
    pidfd: int
    _code: int | None = field(default=None)

    def send(self, signal_: signal.Signals) -> None:
        """To the process itself."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal_)

    def send_group(self, signal_: signal.Signals) -> None:
        """To its group; once nobody keeps its pid from strangers, to the process alone."""
        if self.forks.holds(self.server):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal_)
        else:
            self.send(signal_)

    def wait(self) -> int:
        """Its exit code, negative for a signal, when it is dead; its pid is anybody's then. If the fork server has
        died, then the kernel has killed the child with it."""
        if self._code is None:
            dead = select.poll()
            dead.register(self.pidfd, select.POLLIN)
            dead.poll()
            code = self.forks.reap(self.pid) if self.forks.holds(self.server) else None
            self._code = KILLED if code is None else code
        return self._code
