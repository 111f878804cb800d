"""`python -m tape.core.agent.replay FD`: drives today's code over a recorded tape, and does nothing else.

One JSON object comes on standard input: `root`, `agents` (name -> `module:function`), `agent`, `input`, `run`,
`sources` (what it was forked from), `budget`, `lineage` and `records` (as a drive has them), `redact_key`. One goes to
the descriptor FD: `how` it went, with `code` and `tools` (today's hashes), `us` (microseconds of driving), and

    failed    why                       the project cannot be loaded
    misfit    seq, recorded, does, why  the code does not fit the tape; `asked`, if it asked for something else
              of the same kind: that kind, the name and the whole request
    asks      what                      the tape is used up, and this is asked for next
    waits     what                      the tape is used up, and it waits for what comes from outside
    ended     ended                     the agent function has ended: the body of `run_ended`
    died      why                       the code ends its process
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tape.core.agent.driver import drive
from tape.core.agent.loop import new_loop
from tape.core.agent.process import die_with_parent
from tape.core.agent.project import load_agents
from tape.core.clock import Clock, SystemClock
from tape.core.kernel import errors
from tape.core.kernel.errors import TapeError, UsageError, one_line
from tape.core.sdk import change
from tape.core.sdk.context import RunContext
from tape.core.sdk.decorators import Agent
from tape.core.sdk.hiding import set_key
from tape.core.sdk.output import clean_output
from tape.core.sdk.replay import Outcome, Tape
from tape.core.wire import Frame

Answer = dict[str, Any]


class TapeUsedUp(errors.RunParked):
    """The code asks for what the tape does not hold: here a replay stops."""


class LastWord:
    """In place of the link to a server: takes the drive's last boundary, and grants it. There is no other one."""

    def __init__(self) -> None:
        self.frame: Frame = {}

    def request(self, frame: Frame, reply: Callable[[Frame], None]) -> None:
        self.frame = frame
        asyncio.get_running_loop().call_soon(reply, {"t": "ok"})

    def reach(self, point: str, run_id: str) -> None:
        """Nothing is armed."""


class ReplayContext(RunContext):
    """A drive that never goes live: what would be done when the tape is used up is left undone."""

    asked: str | None = None
    misasked: list[Any] | None = None

    def same(self, recorded: str, asked: str, kind: str, name: str, request: Any) -> bool:
        fits = super().same(recorded, asked, kind, name, request)
        if not fits and self.misfit is None:
            self.misasked = [kind, name, request]
        return fits

    def perform(self, name: Outcome, asked: object, work: Callable[[], None], *, settles: bool = False) -> None:
        super().perform(name, asked, _nothing, settles=settles)
        if self.live:
            self._stop(name)

    def later(self, name: Outcome, work: Callable[[], None]) -> None:
        """Nobody is told anything."""

    def go_live(self) -> None:
        if not self.live:
            self.live = True
            first = self.turns.first()
            if first is not None:
                self._stop(first)

    def _stop(self, name: Outcome) -> None:
        if self.asked is None:
            self.asked = self._describe(name) + (" (open)" if name in self.tape.seqs else "")
        self.interrupt(TapeUsedUp("the tape is used up"))


def _nothing() -> None:
    pass


async def _drive(job: dict[str, Any], agents: Mapping[str, Agent], clock: Clock, selector: Any) -> Answer:
    tape = Tape()
    for seq, kind, body in job["records"]:
        tape.add(seq, kind, body)
    head = {name: job[name] for name in ("run", "sources", "budget", "lineage") if name in job}
    frame = {**head, "epoch": 0, "drive": 1}
    last = LastWord()
    context = ReplayContext(last, frame, tape, clock)
    context.agents = agents
    selector.on_idle = context.idle
    began_us = clock.boot_us()
    await drive(context, agents[job["agent"]], job["input"])
    return {**_answer(context, last.frame), "us": clock.boot_us() - began_us}


def _answer(context: ReplayContext, frame: Frame) -> Answer:
    if frame["t"] == "finish":
        return {"how": "ended", "ended": frame["ended"]}
    if frame["t"] == "diverge":
        misfit, why = context.misfit, frame["why"]
        if misfit is None:
            return {"how": "misfit", "seq": None, "recorded": "", "does": why, "why": why}
        sides = {"seq": misfit.seq, "recorded": misfit.recorded, "does": misfit.does, "why": why}
        return {"how": "misfit", **sides, "asked": context.misasked}
    if context.asked is not None:
        return {"how": "asks", "what": context.asked}
    return {"how": "waits", "what": ", ".join(frame["waits"]) or frame["why"]}


def replay(job: dict[str, Any], clock: Clock) -> Answer:
    """Never raises for what the project does."""
    if job.get("redact_key"):
        set_key(job["redact_key"])
    try:
        agents = load_agents(Path(job["root"]), job["agents"])
        if job["agent"] not in agents:
            raise UsageError(f"tape.yaml has no agent {job['agent']!r}; it has: {', '.join(agents)}")
    except TapeError as error:
        return {"how": "failed", "why": one_line(error)}
    hashes = {"code": change.code_hash(), "tools": change.tools_hash()}
    loop, selector = new_loop(clock)
    asyncio.set_event_loop(loop)
    try:
        return {**loop.run_until_complete(_drive(job, agents, clock, selector)), **hashes}
    except BaseException as error:  # SystemExit and the like: in earnest the process would end
        return {"how": "died", "why": f"{type(error).__name__}: {one_line(error)}", **hashes}


def main() -> int:
    answer_fd, own = int(sys.argv.pop()), os.getpid()
    os.set_inheritable(answer_fd, False)
    die_with_parent()
    clean_output()
    job = json.load(sys.stdin)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    answer = replay(job, SystemClock())
    if os.getpid() == own:  # and not what the agent's code has forked
        with contextlib.suppress(OSError), open(answer_fd, "wb", buffering=0) as channel:
            channel.write(json.dumps(answer).encode() + b"\n")
    os._exit(0)  # threads of the agent's, and its exit handlers, do not matter any more


if __name__ == "__main__":
    sys.exit(main())
