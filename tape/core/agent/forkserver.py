"""`python -m tape.core.agent.forkserver FD`: loads the project once, then forks agent processes from it.

Has one thread, so that its children die with it (the parent-death signal), and ends when its socket closes. One JSON
object per message. First it says `{"ready": true, "read": [names of the environment that the project read]}` or
`{"failed": why}`; then it answers requests, one after the other:

    {"set": {...}, "unset": [...], "nonce": n} + stdout, stderr -> {"pid": n}          the child says it
    {"reap": pid}                                               -> {"code": n | null}  null: it still lives
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import socket
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, ClassVar

from tape.core.agent import process
from tape.core.agent.manifest import manifest_of
from tape.core.agent.project import load_agents
from tape.core.kernel.errors import TapeError, UsageError, one_line
from tape.core.sdk import change
from tape.core.sdk.decorators import TOOLS, Agent
from tape.core.sdk.output import clean_output
from tape.core.sdk.values import check_annotation, signature_of

REQUEST_LIMIT = 1 << 18
NONCE = "TAPE_NONCE"


class _Noting(os._Environ[str]):  # pyright: ignore[reportPrivateUsage]
    """The environment that notes what is read from it."""

    noted: ClassVar[set[str]] = set()

    def __getitem__(self, key: str) -> str:
        self.noted.add(key)
        return super().__getitem__(key)


@contextlib.contextmanager
def _noting() -> Generator[set[str]]:
    """What is read from `os.environ` meanwhile. The same object all the time: modules may hold it by name."""
    plain = os.environ.__class__
    os.environ.__class__ = _Noting
    try:
        yield _Noting.noted
    finally:
        os.environ.__class__ = plain


class NonceCell:
    """The nonce where /proc/PID/environ shows it: in the environment that this process was exec'ed with. Set there, it
    is carried on by every fork, as `os.environ` carries it on through every exec."""

    def __init__(self) -> None:
        """Before anything sets the variable: the C library then still points at the place of old."""
        getenv = ctypes.CDLL(None).getenv
        getenv.restype = ctypes.c_void_p
        self._address: int = getenv(NONCE.encode()) or 0
        self._length = len(os.environ[NONCE])

    def write(self, nonce: str) -> bool:
        """Whether the system shows it."""
        data = nonce.encode("ascii")
        if not self._address or len(data) != self._length:
            return False
        ctypes.memmove(self._address, data, len(data))
        return f"{NONCE}={nonce}\0".encode() in Path("/proc/self/environ").read_bytes()


def open_files() -> set[str]:
    """What this process has open, by name: `3 -> socket:[4711]`."""
    found: set[str] = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found.add(f"{name} -> {os.readlink(f'/proc/self/fd/{name}')}")
    return found


def _prepare(agents: dict[str, Agent]) -> None:
    """What each child would do for itself: tell the manifest, and learn how values are checked. What cannot be checked
    is the child's to complain of."""
    with contextlib.suppress(TapeError):
        manifest_of(agents, list(TOOLS.values()))
    with contextlib.suppress(TapeError):
        change.code_hash()
        change.tools_hash()
    functions = [agent.function for agent in agents.values()] + [tool.function for tool in TOOLS.values()]
    for function in functions:
        with contextlib.suppress(TapeError, TypeError):
            signature = signature_of(function)
            for annotation in (*map(signature.annotation, signature.parameters()), signature.returns):
                check_annotation(annotation, "")


def _load(cell: NonceCell) -> tuple[dict[str, Agent], list[str]]:
    """The agents, and what they read from the environment. Raises UsageError for what cannot be loaded or forked."""
    before = open_files()
    with _noting() as noted:
        agents = load_agents(Path(os.environ["TAPE_PROJECT"]), json.loads(os.environ["TAPE_AGENTS"]))
        _prepare(agents)
    opened = open_files() - before
    if len(os.listdir("/proc/self/task")) > 1:
        raise UsageError("the project starts threads when it is imported")
    if opened:
        raise UsageError(f"the project leaves files open when it is imported: {', '.join(sorted(opened))}")
    if not cell.write("1" * 32):
        raise UsageError("the environment of this process cannot be written in place")
    return agents, sorted(noted)


def main() -> int:
    channel = socket.socket(fileno=int(sys.argv.pop()))
    channel.set_inheritable(False)
    cell = NonceCell()
    clean_output()
    try:
        agents, read = _load(cell)
    except TapeError as error:
        _say(channel, {"failed": one_line(error)})
        os._exit(0)
    gc.collect()
    gc.freeze()  # pages that no collection touches stay shared with the children
    _say(channel, {"ready": True, "read": read})
    _fork_on_request(channel, cell)
    return process.main(agents)


def _say(channel: socket.socket, answer: dict[str, Any]) -> None:
    channel.send(json.dumps(answer).encode())


def _fork_on_request(channel: socket.socket, cell: NonceCell) -> None:
    """Returns in each child. The server itself never returns, and runs none of the project's exit handlers."""
    server = os.getpid()
    while True:
        data, files, _, _ = socket.recv_fds(channel, REQUEST_LIMIT, 2)
        if not data:
            os._exit(0)
        request = json.loads(data)
        if "reap" in request:
            _say(channel, {"code": _reap(request["reap"])})
            continue
        try:
            pid = os.fork()
        except OSError as error:
            _say(channel, {"failed": f"it cannot fork: {error}"})
            pid = -1
        if pid == 0:
            _become_agent(channel, cell, request, files, server)
            return
        for fd in files:
            os.close(fd)


def _become_agent(
    channel: socket.socket, cell: NonceCell, request: dict[str, Any], files: list[int], server: int
) -> None:
    """A session of its own and the nonce come before the answer: from then on the group can be killed, and strays be
    found."""
    os.setsid()
    cell.write(request["nonce"])
    for own, given in zip((1, 2), files, strict=True):
        os.dup2(given, own)
        os.close(given)
    _say(channel, {"pid": os.getpid()})
    channel.close()
    for name in request["unset"]:
        os.environ.pop(name, None)
    os.environ.update({**request["set"], "TAPE_SUPERVISOR_PID": str(server)})


def _reap(pid: int) -> int | None:
    """The exit code of a dead child, negative for a signal. Until it is asked for, no stranger can get this pid."""
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if reaped else None


if __name__ == "__main__":
    sys.exit(main())
