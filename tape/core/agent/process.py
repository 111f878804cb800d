"""The agent process: connected, with the project imported, it drives runs and runs hooks as the server says."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tape.core.agent.driver import drive
from tape.core.agent.hooks import run_hook
from tape.core.agent.loop import IdleSelector, new_loop
from tape.core.agent.project import load_agents
from tape.core.clock import SystemClock
from tape.core.kernel import errors
from tape.core.kernel.errors import TapeError, UsageError, one_line
from tape.core.sdk.client import Link, end_own_group
from tape.core.sdk.context import RunContext
from tape.core.sdk.decorators import Agent
from tape.core.sdk.replay import Tape
from tape.core.wire import Frame

CANNOT_LOAD = 64
BODY_THREADS = 64


class Worker:
    """The process's one worker: its link, its loop, the drives on it."""

    def __init__(self, link: Link, agents: dict[str, Agent], selector: IdleSelector, clock: SystemClock) -> None:
        self.link = link
        self.agents = agents
        self.selector = selector
        self.clock = clock
        self.drives: dict[str, RunContext] = {}
        self.tapes: dict[tuple[str, int], Tape] = {}
        self.tasks: set[asyncio.Task[Any]] = set()
        self.armed = False
        self.draining = False
        self.heartbeat: threading.Thread | None = None
        self.over = asyncio.Event()

    def push(self, frame: Frame) -> None:
        """What the server says on its own."""
        kind = frame["t"]
        if kind == "welcome":
            self._welcome(frame)
        elif kind == "tape":
            tape = self.tapes.setdefault((frame["run"], frame["epoch"]), Tape())
            for seq, record_kind, body in frame["records"]:
                tape.add(seq, record_kind, body)
        elif kind == "drive":
            self._start(self._drive(frame))
        elif kind == "hook":
            self._start(self._hook(frame))
        elif kind == "arm":
            self.armed = frame["armed"]
            for context in self.drives.values():
                context.armed = self.armed
        elif kind == "drain":
            self.drain()
        elif kind == "goodbye":
            end_own_group(frame.get("why", "the server does not know this worker"))
        elif frame.get("run") in self.drives:
            self._to_run(self.drives[frame["run"]], frame)

    def _to_run(self, context: RunContext, frame: Frame) -> None:
        if frame["epoch"] != context.epoch:
            return
        if frame["t"] == "record":
            context.take_record(frame["seq"], frame["kind"], frame["body"])
        elif frame["t"] == "cancel":
            context.cancel()

    def _welcome(self, frame: Frame) -> None:
        self.armed = frame["armed"]
        if self.heartbeat is None:
            pause = frame["heartbeat_us"] / 1_000_000
            self.heartbeat = threading.Thread(target=self._beat, args=(pause,), name="heartbeat", daemon=True)
            self.heartbeat.start()

    def _beat(self, pause_seconds: float) -> None:
        """Vouches for the process, and tells for how long its event loop has been silent."""
        stopped = threading.Event()
        while not stopped.wait(pause_seconds):
            self.link.tell({"t": "beat", "silent_us": self.selector.silent_us()})

    def idle(self, others_wait: bool) -> bool:
        for context in list(self.drives.values()):
            if context.idle(others_wait or len(self.drives) > 1):
                return True
        return False

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._task_over)

    def _task_over(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            error = task.exception()
            assert error is not None
            end_own_group(f"{type(error).__name__}: {one_line(error)}")

    async def _drive(self, frame: Frame) -> None:
        run_id, epoch = frame["run"], frame["epoch"]
        tape = self.tapes.pop((run_id, epoch), Tape())
        context = RunContext(self.link, {**frame, "armed": frame["armed"] or self.armed}, tape, self.clock)
        self.drives[run_id] = context
        agent = self.agents.get(frame["agent"])
        if agent is None:
            known = ", ".join(self.agents)
            context.interrupt(errors.RunDiverged(f"this project has no agent {frame['agent']!r}; it has: {known}"))
            agent = Agent(_nothing, frame["agent"], None)
        if self.draining:
            context.interrupt(errors.RunParked("drained"))
        try:
            await drive(context, agent, frame["input"])
        finally:
            if self.drives.get(run_id) is context:
                del self.drives[run_id]
            self.link.forget(run_id, epoch)
            self.link.tell({"t": "idle", "run": run_id, "epoch": epoch})
            self._leave_if_drained()

    async def _hook(self, frame: Frame) -> None:
        self.link.tell(await run_hook(frame))

    def drain(self) -> None:
        """SIGTERM: every run finishes its boundary and gives its lease back, then the process ends."""
        self.draining = True
        for context in self.drives.values():
            context.interrupt(errors.RunParked("drained"))
        self._leave_if_drained()

    def _leave_if_drained(self) -> None:
        if self.draining and not self.drives:
            self.over.set()


async def _nothing(run: Any, given: Any) -> None:
    """Stands in for an agent that the project does not have; it is never entered with a live run."""


def main() -> int:
    """Runs until the server goes away or a drain is over. Exit code 64: the project cannot be loaded."""
    clock = SystemClock()
    _die_with_parent()
    hello: Frame = {"t": "hello", "role": "worker", "nonce": os.environ["TAPE_NONCE"], "pid": os.getpid()}
    root = Path(os.environ["TAPE_PROJECT"])
    try:
        agents = load_agents(root, json.loads(os.environ["TAPE_AGENTS"]))
    except TapeError as error:
        Link(os.environ["TAPE_SOCKET"], {**hello, "failed": one_line(error)}, clock).close()
        print(f"tape: {one_line(error)}", file=sys.stderr)
        return CANNOT_LOAD
    loop, selector = new_loop(clock)
    asyncio.set_event_loop(loop)
    loop.set_default_executor(ThreadPoolExecutor(BODY_THREADS, thread_name_prefix="body"))
    try:
        loop.run_until_complete(_serve(agents, hello, selector, clock))
    except UsageError as error:
        end_own_group(one_line(error))
    return 0


async def _serve(agents: dict[str, Agent], hello: Frame, selector: IdleSelector, clock: SystemClock) -> None:
    loop = asyncio.get_running_loop()
    link = Link(os.environ["TAPE_SOCKET"], {**hello, "agents": sorted(agents)}, clock)
    worker = Worker(link, agents, selector, clock)
    loop.add_signal_handler(signal.SIGTERM, worker.drain)
    link.attach(loop, worker.push)
    selector.on_idle = worker.idle
    await worker.over.wait()
    link.close()


def _die_with_parent() -> None:
    """Asks the kernel (where it can) to kill this process when the supervisor's thread ends."""
    parent = int(os.environ["TAPE_SUPERVISOR_PID"])
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        end_own_group("the supervisor is gone")
