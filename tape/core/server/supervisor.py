"""Starts, watches and ends agent processes: the only place that ends one.

One thread starts them all (the parent-death signal fires when the forking thread ends) and lives as long as the
server; those that are forked from a fork server (for drills) live no longer than that one. A death is known through
a pidfd within a millisecond; where there is none, a waiting thread per process does. A worker is dead when no living
process carries its nonce: its group is killed, then every stray.
"""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from tape.core.clock import Clock
from tape.core.kernel.errors import TapeError, one_line
from tape.core.server.spawning import Child, Forks, Launch, spawn

LOG_LINE_LIMIT = 16_384
DEATH_DEADLINE_SECONDS = 10.0
BIRTH_US = 200_000
"""For how long a process without an environment may still be inside exec."""
KERNEL_THREAD = 0x00200000
READ_BYTES = 1 << 17


@dataclass(slots=True)
class Process:
    """One agent process; `number` is the worker's in the journal."""

    number: int
    nonce: str
    child: Child
    start_ticks: int
    started_boot_us: int
    killed_why: str | None = None
    frozen: bool = False
    partial: dict[int, bytes] = field(default_factory=lambda: {})

    @property
    def pid(self) -> int:
        return self.child.pid


def _nobody(_: object) -> None:
    """Takes what is told where nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Notices:
    """Whom the supervisor tells, from its own thread. `started` returns the worker's number in the journal, or raises a
    TapeError: then it is none, and is ended. `failed`: of a start nothing came, and nothing is left."""

    started: Callable[[str, int, int], int]
    died: Callable[[int, str, bool], None]
    said: Callable[[int, int, str], None]
    failed: Callable[[Exception], None] = _nobody
    trouble: Callable[[str], None] = _nobody


def start_ticks(pid: int) -> int:
    """Clock ticks after boot at which the process started; 0 where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[19])


def carriers(*nonces: str) -> list[int] | None:
    """Living processes that carry one of the nonces in their environment; None where processes cannot be listed."""
    if sys.platform == "linux":
        needles = [f"TAPE_NONCE={nonce}".encode() for nonce in nonces]
        pids = _pids()
        return None if pids is None else [pid for pid in pids if _carries(pid, needles) and _alive(pid)]
    found: list[int] = []
    try:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("TAPE_NONCE") in nonces and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
    except psutil.Error:
        return None
    return found


def _carries(pid: int, needles: list[bytes]) -> bool:
    environment = _environment(pid)
    return any(needle in environment for needle in needles)


def _pids() -> list[int] | None:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return None


def being_born(since_ticks: int) -> list[int]:
    """Processes of ours that are inside exec now: whoever started them has been told that it worked, and their
    environment is not there yet. Those that started before `since_ticks` are something else, with none at all."""
    if sys.platform != "linux":
        return []
    return [pid for pid in _pids() or () if _is_being_born(pid, since_ticks)]


def _is_being_born(pid: int, since_ticks: int) -> bool:
    try:
        if _read(f"/proc/{pid}/environ"):
            return False
        text = _read(f"/proc/{pid}/stat").decode("ascii", "replace")
    except OSError:
        return False  # somebody else's, or gone
    state, *rest = text.rpartition(")")[2].split()
    return state not in ("Z", "X") and not int(rest[5]) & KERNEL_THREAD and int(rest[18]) >= since_ticks


def _environment(pid: int) -> bytes:
    try:
        return _read(f"/proc/{pid}/environ")
    except OSError:
        return b""


def _read(path: str) -> bytes:
    """A small file of /proc, by plain calls: a look at all processes reads hundreds."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, READ_BYTES)
        while len(data) % READ_BYTES == 0 and data and (more := os.read(descriptor, READ_BYTES)):
            data += more
        return data
    finally:
        os.close(descriptor)


def _alive(pid: int) -> bool:
    """A zombie is dead, though a signal to it does not fail."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


def end_carriers(nonce: str, clock: Clock, since_ticks: int = 0) -> bool:
    """Kills every process that carries the nonce until none lives; False if that cannot be known. None of them
    started before `since_ticks`."""
    started = clock.boot_us()
    deadline = started + int(DEATH_DEADLINE_SECONDS * 1_000_000)
    while True:
        unborn = clock.boot_us() - started < BIRTH_US and being_born(since_ticks)  # before the look at who carries it
        left = carriers(nonce)
        if left is None:
            return False
        if not left and unborn:
            clock.sleep(0.001)
            continue
        if not left:
            return True
        if clock.boot_us() > deadline:
            return False
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        clock.sleep(0.002)


class Supervisor:
    """Starts and ends workers. `start` and `kill` may be called from any thread. `forks`: where they are forked
    from, if that can be done; otherwise they are exec'ed. An error that nobody foresaw ends the thread, and every agent
    process with it: `fatal` holds it, and the host stops."""

    def __init__(self, launch: Launch, notices: Notices, clock: Clock, forks: Forks | None = None) -> None:
        self.launch = launch
        self.forks = forks
        self.notices = notices
        self.clock = clock
        self._processes: dict[int, Process] = {}
        self._lock = threading.RLock()
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._starting = 0
        self._early: list[tuple[int, str, signal.Signals]] = []
        self._stopping = False
        self._closed = False
        self.fatal: Exception | None = None
        self._thread = threading.Thread(target=self._loop, name="supervisor", daemon=True)

    def run(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends every agent process, then the thread. Returns when all are dead."""
        self._order(self._quit)  # said on its own thread: else it may be gone, and its pipe closed, before it is woken
        self._thread.join()
        with self._lock:
            self._closed = True
            os.close(self._wake_read)
            os.close(self._wake_write)

    # --- from any thread --------------------------------------------------------------------------------------

    def start(self, *, anew: bool = False) -> None:
        """Starts one more agent process; `anew`: never a forked one, its code may have changed."""
        forks = None if anew else self.forks
        with self._lock:
            self._starting += 1
        self._order(lambda: self._start_one(forks))

    def count(self) -> int:
        """Processes that live or are being started."""
        with self._lock:
            return len(self._processes) + self._starting

    def processes(self) -> list[Process]:
        with self._lock:
            return list(self._processes.values())

    def kill(self, number: int, why: str, signal_: signal.Signals = signal.SIGKILL) -> int | None:
        """Sends the signal to the worker's whole group (SIGTERM: to the agent itself); returns its pid, or None if
        it is gone. Never hits a stranger: the child has not been reaped while it is in the table. One that is just
        being started gets the signal as soon as it is there: it may have said hello by then."""
        with self._lock:
            process = self._processes.get(number)
            if process is None:
                if self._starting:
                    self._early.append((number, why, signal_))
                return None
            if signal_ in (signal.SIGKILL, signal.SIGTERM):
                process.killed_why = process.killed_why or why
            if signal_ is signal.SIGTERM:
                process.child.send(signal_)
            else:
                process.child.send_group(signal_)
            if signal_ is signal.SIGSTOP:
                process.frozen = True
            elif signal_ is signal.SIGCONT:
                process.frozen = False
            return process.pid

    # --- on the supervisor's thread ---------------------------------------------------------------------------

    def _order(self, work: Callable[[], None]) -> None:
        """After the end nothing is ordered any more: the pipe's number may be another file's by then."""
        with self._lock:
            if not self._closed and self.fatal is None:
                self._orders.put(work)
                os.write(self._wake_write, b"x")

    def _quit(self) -> None:
        self._stopping = True

    def _loop(self) -> None:
        for work in (self._watch, self._end_all):
            try:
                work()
            except Exception as error:  # nobody foresaw it: better no agents than some whose deaths nobody tells
                self.fatal = self.fatal or error
                self.notices.trouble(f"the supervisor ends: {type(error).__name__}: {one_line(error)}")

    def _watch(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select():
                self._ready(key)

    def _ready(self, key: selectors.SelectorKey) -> None:
        if key.fd == self._wake_read:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
            while True:
                try:
                    work = self._orders.get_nowait()
                except queue.Empty:
                    return
                work()
        elif key.data[0] == "died":
            self._bury(key.data[1])
        else:
            self._hear(key.data[1], key.data[2], key.fd)

    def _start_one(self, forks: Forks | None) -> None:
        """Where the machine gives no process, or the journal cannot be written, this start comes to nothing; whoever
        asked for it is told, and asks again."""
        nonce = self.clock.nonce()
        try:
            child, streams = spawn(self.launch, nonce, forks)
        except OSError as error:
            self._fail(error)
            return
        ticks = start_ticks(child.pid)
        try:
            number = self.notices.started(nonce, child.pid, ticks)
        except TapeError as error:
            self._discard(nonce, child, streams, ticks)
            self._fail(error)
            return
        process = Process(number, nonce, child, ticks, self.clock.boot_us())
        with self._lock:
            self._processes[number] = process
            self._end_start()
        for stream in streams:
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ, ("said", process, stream))
        if child.pidfd is not None:
            self._selector.register(child.pidfd, selectors.EVENT_READ, ("died", process))
        else:
            threading.Thread(target=self._wait_for, args=(process,), daemon=True).start()

    def _end_start(self) -> None:
        """One start less is under way; who was to be ended, and is in the table now, is ended."""
        with self._lock:
            self._starting -= 1
            early, self._early = self._early, []
            for to, why, signal_ in early:
                self.kill(to, why, signal_)

    def _fail(self, error: Exception) -> None:
        self._end_start()
        self.notices.failed(error)

    def _discard(self, nonce: str, child: Child, streams: tuple[IO[bytes], ...], ticks: int) -> None:
        """A process that nobody knows is ended, and whoever it has started."""
        child.send_group(signal.SIGKILL)
        child.wait()
        if child.pidfd is not None:
            os.close(child.pidfd)
        for stream in streams:
            stream.close()
        end_carriers(nonce, self.clock, ticks)

    def _wait_for(self, process: Process) -> None:
        """The fallback where there is no pidfd: waits without reaping, then tells the supervisor's thread."""
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self._order(lambda: self._bury(process))

    def _hear(self, process: Process, stream: IO[bytes], fd: int) -> None:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return
        buffer = process.partial.pop(fd, b"") + data
        *lines, rest = buffer.split(b"\n")
        if not data:
            self._selector.unregister(fd)
            stream.close()
            lines = [*lines, rest] if rest else lines
        elif len(rest) > LOG_LINE_LIMIT:
            lines.append(rest)
        else:
            process.partial[fd] = rest
        for line in lines:
            self.notices.said(process.number, process.pid, line[:LOG_LINE_LIMIT].decode("utf-8", "replace"))

    def _bury(self, process: Process) -> None:
        """The agent is dead: its group goes with it, and whoever else carries its nonce; then it is told."""
        with self._lock:
            if process.number not in self._processes:
                return
            process.child.send_group(signal.SIGKILL)
            code = process.child.wait()
            del self._processes[process.number]
        if process.child.pidfd is not None:
            self._selector.unregister(process.child.pidfd)
            os.close(process.child.pidfd)
        proven = end_carriers(process.nonce, self.clock, process.start_ticks)
        how = _how(code)
        if process.killed_why:
            how = f"{how}: {process.killed_why}"
        self.notices.died(process.number, how, proven)

    def _end_all(self) -> None:
        for process in self.processes():
            self.kill(process.number, "the server stops")
        for process in self.processes():
            self._bury(process)
        self._selector.close()


def _how(code: int) -> str:
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
