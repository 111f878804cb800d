"""The agent process: connected, with the project imported, it drives runs and runs hooks as the server says."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn

from tape.core.agent.driver import drive
from tape.core.agent.hooks import run_hook
from tape.core.agent.loop import IdleSelector, new_loop
from tape.core.agent.manifest import manifest_of
from tape.core.agent.project import load_agents
from tape.core.clock import Clock, SkewedClock, SystemClock
from tape.core.kernel import errors
from tape.core.kernel.errors import ServerUnavailable, TapeError, one_line
from tape.core.sdk.client import Link, end_own_group
from tape.core.sdk.code import LEFT_BEHIND
from tape.core.sdk.context import CallCancelled, RunContext
from tape.core.sdk.decorators import TOOLS, Agent
from tape.core.sdk.hiding import set_key
from tape.core.sdk.output import clean_output
from tape.core.sdk.replay import Tape
from tape.core.wire import Frame

CANNOT_LOAD = 64
CANCELLED_CALLS_LIMIT = 3
"""After so many drives in which the code cancelled the same open call, without a new record, the run is STUCK."""

KEPT_ANSWERS = 64


class Worker:
    """The process's one worker: its link, its loop, the drives and hooks on it."""

    def __init__(self, link: Link, agents: dict[str, Agent], selector: IdleSelector, clock: Clock) -> None:
        self.link = link
        self.agents = agents
        self.selector = selector
        self.clock = clock
        self.drives: dict[str, RunContext] = {}
        self.hooks: set[int] = set()
        self.answers: dict[int, Frame] = {}
        self.tapes: dict[tuple[str, int], Tape] = {}
        self.tasks: set[asyncio.Task[Any]] = set()
        self.cancelled_calls: dict[str, tuple[int, int]] = {}
        self.armed = False
        self.draining = False
        self.let_go = False
        self.heartbeat: threading.Thread | None = None
        self.over = asyncio.Event()
        link.state = self.in_hand

    def in_hand(self) -> Frame:
        """What this worker drives and runs: the server compares it with what it has sent, after a lost connection. A
        tape that has come without its drive is sent again."""
        self.tapes.clear()
        return {
            "drives": {run: context.epoch for run, context in self.drives.items()},
            "hooks": sorted(self.hooks),
            "leaving": self.draining,
        }

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
            self._drive(frame)
        elif kind == "hook":
            self._take_hook(frame)
        elif kind == "arm":
            self._arm(frame["armed"])
        elif kind == "drain":
            self.drain()
        elif kind == "left":
            self.let_go = True
            self._leave_if_drained()
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
        elif frame["t"] == "budget":
            context.purse.capped = context.purse.capped or bool(frame.get("capped"))
            context.ask_again()

    def _arm(self, armed: bool) -> None:
        self.armed = armed
        for context in self.drives.values():
            context.armed = armed

    def _welcome(self, frame: Frame) -> None:
        self._arm(frame["armed"])
        if frame.get("redact_key"):
            set_key(frame["redact_key"])
        if self.heartbeat is None:
            threading.Thread(target=self._declare, name="manifest", daemon=True).start()
            pause = frame["heartbeat_us"] / 1_000_000
            self.heartbeat = threading.Thread(target=self._beat, args=(pause,), name="heartbeat", daemon=True)
            self.heartbeat.start()

    def _declare(self) -> None:
        """Tells once what the project declares; in a thread, because schemas may take a while."""
        with contextlib.suppress(TapeError):  # one that is no frame: nothing depends on it
            self.link.tell({"t": "manifest", **manifest_of(self.agents, list(TOOLS.values()))})

    def _beat(self, pause_seconds: float) -> None:
        """Vouches for the process, and tells for how long its event loop has been silent."""
        stopped = threading.Event()
        while not stopped.wait(pause_seconds):
            self.link.tell({"t": "beat", "silent_us": self.selector.silent_us()})

    def idle(self, quiet: bool) -> bool:
        """The loop would wait: each drive may go on. Several drives are never quiet: each wakes the others' loop."""
        alone = len(self.drives) == 1
        return any(context.idle(quiet and alone) for context in list(self.drives.values()))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._task_over)

    def _task_over(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            end_own_group(f"{type(error).__name__}: {one_line(error)}")

    # --- drives -------------------------------------------------------------------------------------------------

    def _drive(self, frame: Frame) -> None:
        """Takes a run up, at once: whatever is pushed to it from now on finds it."""
        run_id, epoch = frame["run"], frame["epoch"]
        tape = self.tapes.pop((run_id, epoch), Tape())
        clock = SkewedClock(frame["skew_us"]) if frame.get("skew_us") else self.clock
        context = RunContext(self.link, {**frame, "armed": frame["armed"] or self.armed}, tape, clock)
        context.agents = self.agents
        context.stubborn = self.cancelled_calls.get(run_id, (0, 0)) >= (tape.whole_to, CANCELLED_CALLS_LIMIT)
        self.drives[run_id] = context
        agent = self.agents.get(frame["agent"])
        if agent is None:
            known = ", ".join(self.agents)
            context.interrupt(errors.RunDiverged(f"this project has no agent {frame['agent']!r}; it has: {known}"))
            agent = Agent(_nothing, frame["agent"], None)
        if self.draining:
            context.interrupt(errors.RunParked("drained"))
        self._start(self._drive_on(context, agent, frame["input"], tape.whole_to))

    async def _drive_on(self, context: RunContext, agent: Agent, given: Any, taken_up_at: int) -> None:
        run_id = context.run_id
        try:
            await drive(context, agent, given)
        finally:
            self._note_cancelled_calls(context, taken_up_at)
            if self.drives.get(run_id) is context:
                del self.drives[run_id]
            self.link.forget(run_id, context.epoch)
            self.link.tell({"t": "idle", "run": run_id, "epoch": context.epoch})
            self._leave_if_drained()

    def _note_cancelled_calls(self, context: RunContext, taken_up_at: int) -> None:
        """How often the code has cancelled an open call at this place of the tape: parking helps only if the call's
        outcome is recorded meanwhile."""
        _, times = self.cancelled_calls.pop(context.run_id, (0, 0))
        if isinstance(context.signal, CallCancelled) and context.tape.whole_to == taken_up_at:
            self.cancelled_calls[context.run_id] = (taken_up_at, times + 1)

    def _take_hook(self, frame: Frame) -> None:
        """Runs a hook once: after a lost connection the server may ask for the same ticket again."""
        ticket = frame["ticket"]
        if ticket in self.answers:
            self.link.tell(self.answers[ticket])
        elif ticket not in self.hooks:
            self.hooks.add(ticket)
            self._start(self._hook(frame))

    async def _hook(self, frame: Frame) -> None:
        answer = await run_hook(frame)
        self.hooks.discard(frame["ticket"])
        self.answers[frame["ticket"]] = answer
        if len(self.answers) > KEPT_ANSWERS:
            del self.answers[next(iter(self.answers))]
        self.link.tell(answer)
        self._leave_if_drained()

    # --- the end --------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """SIGTERM: every run finishes its boundary and gives its lease back, and what the server had sent before it
        knew is dealt with; then the process ends."""
        if not self.draining:
            self.draining = True
            self.link.tell({"t": "leaving"})
        for context in self.drives.values():
            context.interrupt(errors.RunParked("drained"))
        self._leave_if_drained()

    def _leave_if_drained(self) -> None:
        if self.let_go and not self.drives and not self.hooks:
            self.over.set()


async def _nothing(run: Any, given: Any) -> None:
    """Stands in for an agent that the project does not have: it is never entered."""


def main(loaded: dict[str, Agent] | None = None) -> int:
    """Runs until the server goes away or a drain is over. Exit code 64: the project cannot be loaded. `loaded`: the
    project's agents, if whoever forked this process has loaded them."""
    clock = SystemClock()
    die_with_parent()
    hello: Frame = {"t": "hello", "role": "worker", "nonce": os.environ["TAPE_NONCE"], "pid": os.getpid()}
    root = Path(os.environ["TAPE_PROJECT"])
    clean_output()
    try:
        agents = load_agents(root, json.loads(os.environ["TAPE_AGENTS"])) if loaded is None else loaded
    except TapeError as error:
        print(f"tape: {one_line(error)}", file=sys.stderr)
        with contextlib.suppress(ServerUnavailable):
            Link(os.environ["TAPE_SOCKET"], {**hello, "failed": one_line(error)}, clock).close()
        return CANNOT_LOAD
    loop, selector = new_loop(clock)
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_serve(agents, hello, selector, clock))
    except TapeError as error:
        end_own_group(one_line(error))
    except SystemExit as error:  # by the author's code: as in a crash, nothing else in here goes on
        if not isinstance(error.code, int | None):
            print(error.code, file=sys.stderr)
        _leave(error.code if isinstance(error.code, int) else int(error.code is not None))
    if LEFT_BEHIND:
        _leave(0)
    return 0


def _leave(code: int) -> NoReturn:
    """Ends this process; nothing that is pending in it is woken by what Python does at its end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def _serve(agents: dict[str, Agent], hello: Frame, selector: IdleSelector, clock: Clock) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: worker.drain())  # before the server knows of a worker to drain
    link = Link(os.environ["TAPE_SOCKET"], {**hello, "agents": sorted(agents)}, clock)
    worker = Worker(link, agents, selector, clock)
    link.attach(loop, worker.push)
    selector.on_idle = worker.idle
    await worker.over.wait()
    link.close()


def die_with_parent() -> None:
    """Asks the kernel (where it can) to kill this process when the supervisor's thread ends (or the fork
    server, which has one only)."""
    parent = int(os.environ["TAPE_SUPERVISOR_PID"])
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        end_own_group("the supervisor is gone")
