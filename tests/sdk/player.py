"""Plays agent functions without processes: a server in memory, a loop whose time is virtual, a tape that can be cut.

The server here knows nothing of the journal: it numbers records, answers frames a loop's turn later, and refuses what
the test says. What stands on its tape can be cut anywhere and played again.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tape.core.agent.driver import drive
from tape.core.agent.loop import BodyThreads, IdleSelector
from tape.core.clock import ManualClock
from tape.core.kernel import identity
from tape.core.sdk.code import LEFT_BEHIND
from tape.core.sdk.context import RunContext
from tape.core.sdk.decorators import Agent
from tape.core.sdk.replay import Tape
from tape.core.wire import Decoder, Frame, encode

RUN = "r-000000000001"
Record = tuple[int, str, dict[str, Any]]
Refusal = tuple[str, str]


def over_the_wire(frame: Frame) -> Frame:
    return Decoder().feed(encode(frame))[0]


class Deadlock(Exception):
    """Nothing will ever wake the loop again."""


class VirtualSelector(IdleSelector):
    """Instead of waiting it moves time forward; before that, `on_quiet` may let something happen."""

    def __init__(self, clock: ManualClock, threads: BodyThreads) -> None:
        super().__init__(clock, threads)
        self.seconds = 0.0
        self.stuck_threads = False
        self.on_quiet: Callable[[], bool] = lambda: False

    def wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.threads.busy and not self.stuck_threads:
            return selectors.DefaultSelector.select(self, 5)
        ready = selectors.DefaultSelector.select(self, 0)
        if ready or self.on_quiet():
            return ready
        if timeout is None:
            raise Deadlock("nothing will ever wake this loop")
        self.seconds += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.threads = BodyThreads()
        self.virtual = VirtualSelector(ManualClock(), self.threads)
        super().__init__(self.virtual)
        self.set_default_executor(self.threads)

    def time(self) -> float:
        return self.virtual.seconds


@dataclass
class FakeServer:
    """Answers boundaries in the order in which they come. `refuse` may refuse one; `held` keeps all answers back."""

    records: list[Record] = field(default_factory=list)
    commits: list[int] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    refuse: Callable[[Frame], Refusal | None] = lambda frame: None
    failing: Callable[[Frame], Frame | None] = lambda frame: None
    held: Callable[[Frame], bool] = lambda frame: False
    over: Callable[[Frame], dict[str, Any] | None] = lambda frame: None
    """The numbers of a cap that is in the way of an `ask` or a `begin`."""
    waits: Callable[[Frame], bool] = lambda frame: False
    """Whether a person is asked to raise a cap for this `ask` or `begin`."""
    attempts: dict[str, int] = field(default_factory=dict)
    points: list[str] = field(default_factory=list)
    early: dict[tuple[str, int], str] = field(default_factory=dict)
    _waiting: list[tuple[Frame, Callable[[Frame], None]]] = field(default_factory=list)

    # --- the channel of a drive ---

    def request(self, frame: Frame, reply: Callable[[Frame], None]) -> None:
        sent = over_the_wire(frame)
        self.frames.append(sent)
        self._waiting.append((sent, reply))
        asyncio.get_running_loop().call_soon(self.serve)

    def reach(self, point: str, run_id: str) -> None:
        self.points.append(point)

    def serve(self) -> None:
        """Takes what has come, up to the first frame that is held."""
        while self._waiting and not self.held(self._waiting[0][0]):
            frame, reply = self._waiting.pop(0)
            answer = self._answer(frame)
            asyncio.get_running_loop().call_soon(reply, over_the_wire(answer))

    def _answer(self, frame: Frame) -> Frame:
        head = {"run": frame["run"], "epoch": frame["epoch"], "n": frame["n"]}
        refused = self.refuse(frame)
        if refused is not None:
            return {**head, "t": "refused", "why": refused[0], "message": refused[1]}
        before = len(self.records)
        fields = self._take(frame)
        if len(self.records) > before:
            self.commits.append(len(self.records))
        return {**fields, **head, "t": "ok", "seq": len(self.records), "records": len(self.records) - before}

    # --- what it knows ---

    def record(self, kind: str, **body: Any) -> Record:
        entry = (len(self.records) + 1, kind, body)
        self.records.append(entry)
        return entry

    def fire(self, ordinal: int) -> Record:
        entry = self.record("timer_fired", ordinal=ordinal, late_us=0)
        self.commits.append(len(self.records))
        return entry

    def end_child(self, ordinal: int, result: Any = None, error: Any = None, status: str = "TERMINAL") -> Record:
        named = {"ordinal": ordinal, "child": f"r-child{ordinal}", "status": status}
        entry = self.record("child_ended", **named, result=result, error=error)
        self.commits.append(len(self.records))
        return entry

    def _take(self, frame: Frame) -> Frame:
        kind = frame["t"]
        if kind in ("ask", "begin") and frame["capped"] and self.waits(frame):
            return {"awaits": {"run": RUN}}
        numbers = self.over(frame) if kind in ("ask", "begin") and frame["capped"] else None
        if numbers is not None:
            return {"refusal": self._refuse(frame, numbers)}
        if kind == "decision":
            self.record("decision", **frame["decision"])
            self.record("charge", pays_for=f"decision {frame['decision']['index']}", **frame["usage"])
        elif kind == "sample":
            self.record("sample", **frame["sample"])
        elif kind == "timer":
            self.record("timer_set", **{name: frame[name] for name in ("ordinal", "seconds", "fingerprint")})
        elif kind == "gate":
            return self._gate(frame["gate"])
        elif kind == "begin":
            call = frame["call"]
            index = "-" if call["decision_index"] is None else call["decision_index"]
            key = f"{RUN}/{index}/{call['ordinal']}/{call['tool']}"
            self.attempts[key] = 1
            begun = {
                name: call[name] for name in ("decision_index", "ordinal", "tool", "args", "business_key", "hidden")
            }
            begun |= {"dispatch": call["policy"]["dispatch"], "awaited": call["awaited"]}
            args_hash = identity.hash_args(call["args"], call["hidden"])
            begun |= {"approval": call.get("approval"), "args_hash": args_hash}
            self.record("effect_begun", key=key, fingerprint=frame["fingerprint"], **begun)
            if "stand_in" in frame:
                ended = {"status": "CONFIRMED", "result": frame["stand_in"], "error": None, "result_error": None}
                if call["awaited"]:
                    self.record("effect_ended", key=key, tool=call["tool"], **ended)
                return {"ended": ended}
        elif kind == "attempt":
            assert frame["number"] == self.attempts[frame["key"]] + 1, "attempts are counted without a gap"
            self.attempts[frame["key"]] += 1
        elif kind == "child":
            child = {name: frame[name] for name in ("ordinal", "agent", "input", "fingerprint")}
            self.record("child_started", child=f"r-child{frame['ordinal']}", **child)
            return {"ended": {"child": f"r-child{frame['ordinal']}"}}
        elif kind == "end":
            return self._end(frame)
        elif kind == "finish":
            self.record("run_ended", **frame["ended"])
        return {}

    def _gate(self, gate: dict[str, Any]) -> Frame:
        self.record("gate_opened", **gate)
        instance = gate["name"], gate["ordinal"]
        if instance not in self.early:
            return {}
        return {"ended": self.answered(*instance, self.early.pop(instance), timed_out=False)[2]}

    def answered(self, name: str, ordinal: int, answer: str | None, **more: Any) -> Record:
        return self.record("gate_answered", name=name, ordinal=ordinal, answer=answer, **more)

    def answer(self, name: str, ordinal: int, answer: str | None, **more: Any) -> Record:
        """Somebody's answer, or a time-out's, in a commit of its own."""
        entry = self.answered(name, ordinal, answer, **more)
        self.commits.append(len(self.records))
        return entry

    def open_gates(self) -> list[tuple[str, int]]:
        told = {(body["name"], body["ordinal"]) for _, kind, body in self.records if kind == "gate_answered"}
        opened = [(body["name"], body["ordinal"]) for _, kind, body in self.records if kind == "gate_opened"]
        return [instance for instance in opened if instance not in told]

    def _end(self, frame: Frame) -> Frame:
        ending, key = frame["ending"], frame["key"]
        told = self.failing(frame)
        if told is not None:
            return told
        status = "CONFIRMED" if ending["how"] == "returned" else "FAILED"
        ended = {
            "status": status,
            "result": ending.get("result"),
            "error": ending.get("error"),
            "result_error": ending.get("result_error"),
        }
        self.record("effect_ended", key=key, tool=key.rpartition("/")[2], **ended)
        if frame["usage"] is None:
            return {"ended": ended}
        charge = self.record("charge", pays_for=key, **frame["usage"])
        return {"ended": ended, "charged": [charge[2]]}

    def _refuse(self, frame: Frame, numbers: dict[str, Any]) -> dict[str, Any]:
        if frame["t"] == "ask":
            place, fingerprint = f"decision {frame['index']}", frame["fingerprint"]
        else:
            call = frame["call"]
            index = "-" if call["decision_index"] is None else call["decision_index"]
            place, fingerprint = f"{RUN}/{index}/{call['ordinal']}/{call['tool']}", frame["fingerprint"]
        ordinal = sum(body["place"] == place for _, kind, body in self.records if kind == "budget_refused")
        told = {"place": place, "ordinal": ordinal, "run": RUN, "fingerprint": fingerprint, **numbers}
        return self.record("budget_refused", **told)[2]

    def open_timers(self) -> list[int]:
        fired = {body["ordinal"] for _, kind, body in self.records if kind == "timer_fired"}
        return [b["ordinal"] for _, kind, b in self.records if kind == "timer_set" and b["ordinal"] not in fired]

    def open_children(self) -> list[int]:
        ended = {body["ordinal"] for _, kind, body in self.records if kind == "child_ended"}
        return [b["ordinal"] for _, kind, b in self.records if kind == "child_started" and b["ordinal"] not in ended]

    def sent(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["t"] == kind]

    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.records]

    def cut(self, count: int) -> FakeServer:
        """A server whose tape holds the first `count` records only: a crash right after them."""
        kept = self.records[:count]
        begun = [body["key"] for _, kind, body in kept if kind == "effect_begun"]
        return FakeServer(
            records=list(kept), commits=[at for at in self.commits if at <= count], attempts=dict.fromkeys(begun, 1)
        )


@dataclass
class Played:
    """What one drive came to."""

    said: str
    server: FakeServer
    context: RunContext

    @property
    def ended(self) -> dict[str, Any]:
        """The body of `finish`; {} if the drive ended otherwise."""
        frames = self.server.sent("finish")
        return frames[-1]["ended"] if frames else {}

    @property
    def result(self) -> Any:
        assert self.ended.get("outcome") == "TERMINAL", (self.said, self.why, self.ended)
        return self.ended["result"]

    @property
    def why(self) -> str:
        for kind in ("park", "diverge"):
            for frame in self.server.sent(kind)[-1:]:
                return frame["why"]
        return str(self.ended.get("error"))

    @property
    def diverged(self) -> str:
        assert self.said == "diverge", (self.said, self.why)
        return self.server.sent("diverge")[-1]["why"]


Meddle = Callable[[RunContext], Awaitable[None] | None]


def play(
    agent: Callable[..., Any] | Agent,
    server: FakeServer | None = None,
    *,
    given: Any = None,
    cancelled: bool = False,
    armed: bool = False,
    stubborn: bool = False,
    stuck_threads: bool = False,
    quarantine: bool = False,
    sources: list[str] | None = None,
    on_quiet: Callable[[RunContext], bool] | None = None,
    before: Callable[[RunContext], None] | None = None,
    budget: dict[str, Any] | None = None,
    agents: dict[str, Agent] | None = None,
    lineage: list[str] | None = None,
) -> Played:
    """One drive over the server's tape. `on_quiet` is asked when nothing moves: it may let something happen."""
    marked = agent if isinstance(agent, Agent) else Agent(agent, agent.__name__, None)
    server = server if server is not None else FakeServer([(1, "run_started", {"agent": marked.name})], [1])
    loop = VirtualLoop()
    loop.virtual.stuck_threads = stuck_threads
    done: list[Played] = []

    async def go() -> None:
        tape = Tape()
        for record in server.records:
            tape.add(*record)
        open_keys = {body["key"] for _, kind, body in server.records if kind == "effect_begun"} - {
            body["key"] for _, kind, body in server.records if kind == "effect_ended"
        }
        frame = {
            "run": RUN,
            "epoch": 1,
            "drive": 1,
            "attempts": {key: server.attempts[key] for key in open_keys},
            "cancelled": cancelled,
            "armed": armed,
            "budget": budget or {},
            "lineage": lineage or ["the run's own"],
            "quarantine": quarantine,
            "sources": sources or [],
        }
        context = RunContext(server, frame, tape, ManualClock())
        context.stubborn = stubborn
        context.agents = agents or {}
        loop.virtual.on_idle = context.idle
        if on_quiet is not None:
            loop.virtual.on_quiet = lambda: on_quiet(context)
        if before is not None:
            before(context)
        done.append(Played(await drive(context, marked, given), server, context))

    try:
        loop.run_until_complete(go())
    finally:
        _end_all(loop)
    return done[0]


def _end_all(loop: VirtualLoop) -> None:
    for _ in range(100):  # some do not give up at once
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
    LEFT_BEHIND.clear()
    loop.threads.shutdown()
    loop.close()
