"""One drive of a run as its agent sees it: boundaries out, outcomes in, one at a time; signals that unwind it.

What can be asked for stands in `decisions`, `samples`, `timers` and `calls`. An operation says what it waits for
(`outcome`) and what is to be done if the tape does not hold it (`perform`); what it does, it does in a task of its
own that the agent's code cannot cancel. All of it runs on the agent process's event loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from tape.core.clock import Clock
from tape.core.kernel import errors, identity
from tape.core.kernel.errors import RunInterrupted, UsageError
from tape.core.sdk import change
from tape.core.sdk.client import end_own_group
from tape.core.sdk.decorators import Agent
from tape.core.sdk.effects import CURRENT_EFFECT, CURRENT_METER
from tape.core.sdk.hiding import KNOWN, Plain
from tape.core.sdk.purse import Purse, exceeded
from tape.core.sdk.replay import Body, Outcome, Tape
from tape.core.wire import Frame

GRACE_SECONDS = 1.0
"""For how long nothing must move before a run parks or diverges although something else is going on."""
STALL_PERIODS = 30
"""How many of these a run that does not fit its tape gets while its code may be waiting for something of its own."""
UNWIND_SECONDS = 0.02
UNWIND_TRIES = 8
UNWIND_CALLS = 16
"""So often a signal is raised to code that swallows it and calls again; its next call does not come back."""

LEFT_BEHIND: set[asyncio.Future[Any]] = set()
"""What must not be collected while this process lives: code that is left behind would be woken by that (GeneratorExit),
and its tool calls would be none of a run any more: their bodies would be entered without an intent."""

_SIGNALS: dict[str, type[RunInterrupted]] = {"fenced": errors.LeaseLost, "cancelled": errors.RunCancelled}


class CallCancelled(errors.RunParked):
    """The agent's code cancelled a tape call that was open: the run parks until its outcome is recorded."""


class CapCancelled(CallCancelled):
    """The same for one that waits for a cap: nothing of it has begun, and a person has the next word."""


class NothingMoves(errors.RunParked):
    """All that the run waits for comes from outside."""


class Channel(Protocol):
    """What a drive needs of its worker's link."""

    def request(self, frame: Frame, reply: Callable[[Frame], None]) -> None: ...
    def reach(self, point: str, run_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Misfit:
    """Where the code does not fit its tape: the record at `seq` (None: not known), and what the code does instead."""

    seq: int | None
    recorded: str
    does: str


@dataclass(frozen=True, slots=True)
class _Turn:
    """Work that waits until the tape is used up; `settles`: it ends an effect that is open, even in a cancelled run."""

    name: Outcome
    work: Callable[[], None]
    settles: bool
    context: Context

    def take(self) -> None:
        """Does the work as if the code did it now: what it begins sees the code's own context variables."""
        self.context.run(self.work)


class RunContext:
    """The state of one drive."""

    def __init__(self, link: Channel, frame: Frame, tape: Tape, clock: Clock) -> None:
        self.link = link
        self.clock = clock
        self.tape = tape
        self.loop = asyncio.get_running_loop()
        self.run_id: str = frame["run"]
        self.epoch: int = frame["epoch"]
        self.drive: int = frame["drive"]
        self.open_attempts: dict[str, int] = frame.get("attempts", {})
        self.armed: bool = bool(frame.get("armed"))
        self.cancelled: bool = bool(frame.get("cancelled"))
        self.plain = Plain(KNOWN)
        self.purse = Purse(frame.get("budget", {}))
        self.lineage: list[str] = frame.get("lineage", [])
        """What this run and its ancestors were asked, as fingerprints; the run's own comes first."""
        self.agents: Mapping[str, Agent] = {}
        """The project's."""
        self.quarantine: bool = bool(frame.get("quarantine"))
        """A fork: what its tools would do is made up."""
        self.sources: list[str] = frame.get("sources", [])
        """The runs that this one was forked from, nearest first: the records that it took over have fingerprints made
        under their ids."""
        self.live = False
        self.stubborn = False
        """The code cancelled the same open call in drives before this one, without progress."""
        self.signal: RunInterrupted | None = None
        self.misfit: Misfit | None = None
        self.main: asyncio.Task[Any] | None = None
        self.abandoned: asyncio.Future[None] = self.loop.create_future()
        self.underway: set[asyncio.Task[None]] = set()
        self.external: set[Outcome] = set()
        self.entered = 0
        self.replayed: list[str] = []
        self._thread = threading.get_ident()
        self._over = False
        self._raised = 0
        self._abandonable: set[asyncio.Task[None]] = set()
        self._waiters: dict[Outcome, asyncio.Future[Body]] = {}
        self._come: dict[Outcome, Body] = {}
        self._joining: dict[Outcome, int] = {}
        self._turns: list[_Turn] = []
        self._called: set[Outcome] = set()
        self._asked: dict[Outcome, object] = {}
        self._done: dict[Outcome, _Turn] = {}
        """What was done for an outcome that is not known yet: it is done again if it had to wait for a cap."""
        self._capped: dict[Outcome, _Turn] = {}
        """What waits for a person to raise a cap."""
        self._awaited_outside: list[Outcome] = []
        self._frame_number = 0
        self._unanswered: dict[asyncio.Future[Frame], int] = {}
        self._unanswered_outcomes = 0
        self._decisions = 0
        self._ordinals: dict[int, int] = {}
        self._refused: dict[Outcome, Outcome] = {}
        self._doubtful: set[str] = set()
        self._progress = 0
        self._grace: asyncio.TimerHandle | None = None
        self._periods = 0

    # --- places ---------------------------------------------------------------------------------------------------

    def next_decision(self) -> int:
        """The index of the decision that is asked for now; calls are numbered from 0 after it."""
        index, self._decisions = self._decisions, self._decisions + 1
        return index

    def take_back_decision(self) -> None:
        """The decision was refused: the next one has its index, and calls are numbered on after the one before."""
        self._decisions -= 1

    def next_call(self) -> tuple[int | None, int]:
        """The place of the call that is made now: the decision before it, and its ordinal."""
        decision = self._decisions - 1
        ordinal = self._ordinals.get(decision, 0)
        self._ordinals[decision] = ordinal + 1
        return (decision if decision >= 0 else None), ordinal

    def same(self, recorded: str, asked: str, kind: str, name: str, request: Any) -> bool:
        """Whether what is asked for, with this fingerprint, is what was recorded with that one."""
        return recorded == asked or any(
            recorded == identity.fingerprint_as(kind, name, request, self.run_id, source) for source in self.sources
        )

    # --- signals --------------------------------------------------------------------------------------------------

    def interrupt(self, signal: RunInterrupted) -> None:
        """Unwinds the run: from now on every tape call in it raises this signal. What is under way goes on to its
        record, but for asks and samples of a run that is not driven on. A lost lease outweighs every other signal;
        with a body open it ends this process: only then is that body certainly over."""
        lost = isinstance(signal, errors.LeaseLost)
        if lost and self.entered:
            end_own_group(f"the lease of {self.run_id} is lost and a tool's body is open")
        first = self.signal is None
        if first or lost:
            self.signal = signal
        if not isinstance(self.signal, errors.RunParked):
            for task in self._abandonable:
                task.cancel()
        if first:
            self._turns.clear()
            self._raise_in_waiters(signal)
            self._cancel_main(0)

    def _raise_in_waiters(self, signal: RunInterrupted) -> None:
        for future in self._waiters.values():
            if not future.done():
                future.set_exception(_copy(signal))
                future.exception()  # nobody may look at it any more
        self._waiters.clear()

    def _cancel_main(self, tries: int) -> None:
        """The agent's code gets a moment to unwind; then a wait of its own is cancelled; at last it is left behind."""
        if self.main is None or self.main.done():
            return
        if tries > UNWIND_TRIES:
            LEFT_BEHIND.add(self.main)
            if not self.abandoned.done():
                self.abandoned.set_result(None)
            return
        if tries:
            self.main.cancel()
        self.loop.call_later(UNWIND_SECONDS * 2**tries, self._cancel_main, tries + 1)

    def check(self) -> None:
        """Raises the signal if the run unwinds; refuses tape calls from where there can be none."""
        if threading.get_ident() != self._thread:
            raise UsageError("a tape call from another thread: make it in the agent function itself, on its event loop")
        try:
            self.check_open()
        except RunInterrupted:
            self._raised += 1
            raise
        if CURRENT_EFFECT.get() is not None or CURRENT_METER.get() is not None:
            raise UsageError("a tool's body or a model function cannot use the run: do that in the agent function")

    async def admit(self) -> None:
        """`check` for a call that is awaited. Code that swallows every signal and calls again would keep the event loop
        to itself: from some time on it waits here for ever, and `interrupt` leaves it behind."""
        if self.spins():
            await self.never()
        self.check()

    def spins(self) -> bool:
        """Whether the code goes on calling although the run unwinds."""
        return self._raised >= UNWIND_CALLS and threading.get_ident() == self._thread

    async def never(self) -> NoReturn:
        wait: asyncio.Future[None] = self.loop.create_future()
        LEFT_BEHIND.add(wait)
        await wait
        raise AssertionError("nobody lets this wait end")

    def check_open(self) -> None:
        """Raises the signal if the run unwinds, and one of its own once the agent function has ended."""
        self.check_signal()
        if self._over:
            raise RunInterrupted("the agent function has ended: nothing is done for what it left behind")

    def check_signal(self) -> None:
        if self.signal is not None:
            raise _copy(self.signal)

    def diverge(self, recorded: str, asked: str, name: Outcome | None = None) -> NoReturn:
        """The code does not fit the tape: unwinds the run with both sides. `name`: which record it does not fit."""
        signal = self.refuse_misfit(name, recorded, f"asks {asked}")
        raise _copy(self.signal or signal)

    def refuse_misfit(self, name: Outcome | None, recorded: str, does: str) -> errors.RunDiverged:
        """The same without raising."""
        if self.misfit is None:
            self.misfit = Misfit(None if name is None else self.tape.seqs.get(name), recorded, does)
        why = f"the code does not fit the tape: recorded {recorded} | the code {does}{self._what_changed()}"
        signal = errors.RunDiverged(why)
        self.interrupt(signal)
        return signal

    def _what_changed(self) -> str:
        """What the newest decision was not recorded with."""
        last = max(self.tape.decisions, default=None)
        if last is None:
            return ""
        body = self.tape.decisions[last]
        changed = change.changes(body.get("code") or "", body.get("tools") or "")
        return f"; since decision {last} {changed} changed" if changed else ""

    def cancel(self) -> None:
        """A person's wish arrived while the run is driven. While it replays, open effects are settled first."""
        self.cancelled = True
        if self.live:
            self.interrupt(errors.RunCancelled("cancelled by a person"))

    def doubt(self, key: str) -> None:
        """The effect's body has ended and nobody here knows how: the run is settled from outside before it goes on."""
        self._doubtful.add(key)
        self.interrupt(errors.RunParked(f"{key} is in doubt"))

    def in_doubt(self) -> bool:
        return bool(self._doubtful)

    def awaits_effects(self) -> bool:
        """Whether an effect is open whose body is not this drive's business: a run ends when it is settled."""
        return any(name[0] == "effect" and name not in self.tape.settled for name in self.external)

    def open_children(self) -> list[str]:
        """The children that have not ended, as a parked run waits for them: it ends well when all of them have."""
        return sorted(
            f"child {name[1]}" for name in self.external if name[0] == "child" and name not in self.tape.settled
        )

    def waits(self) -> list[str]:
        """What a parked run waits for, besides open effects: `timer 0`, `child 3`, `gate pay 0`, `budget decision 2`.
        Parked for another reason than waiting, it may have more to do at once; but without a cap, an ask or a call that
        the code has left behind does not go ahead."""
        if self.signal is None or isinstance(self.signal, CapCancelled):
            return self._caps(self._capped)
        if not isinstance(self.signal, NothingMoves):
            return []
        plain = [f"{name[0]} {name[1]}" for name in self._awaited_outside if name[0] in ("timer", "child")]
        gates = [f"gate {name[1][0]} {name[1][1]}" for name in self._awaited_outside if name[0] == "gate"]
        return sorted(plain) + sorted(gates) + self._caps(self._awaited_outside)

    def awaits_caps(self) -> bool:
        """Whether an ask or a call waits for a person to raise a cap."""
        return bool(self._capped)

    def _caps(self, names: Iterable[Outcome]) -> list[str]:
        places = (f"decision {name[1]}" if name[0] == "decision" else name[1] for name in names if name in self._capped)
        return sorted(f"budget {place}" for place in places)

    # --- the end --------------------------------------------------------------------------------------------------

    def refuse_leftover(self, does: str) -> None:
        """The agent function has ended, as `does` says: unwinds the run if the tape holds more than it asked for."""
        left = None if self.live else self.tape.leftover(self._called)
        if left is not None:
            self.refuse_misfit(left, self.tape.describe(left), does)

    def close(self) -> None:
        """The agent function has ended. What it called and left behind is done and recorded; no more is begun."""
        if self.signal is None:
            self.go_live()
        self._over = True
        self._turns.clear()
        if self._grace is not None:
            self._grace.cancel()
        self._raise_in_waiters(RunInterrupted("the agent function has ended"))

    # --- frames ---------------------------------------------------------------------------------------------------

    def boundary(
        self,
        kind: str,
        body: Body,
        outcome: tuple[Outcome, Body | None] | None = None,
        *,
        refusable: Outcome | None = None,
    ) -> asyncio.Future[Frame]:
        """Sends one boundary; the future holds the server's answer. A refusal unwinds the run.

        `outcome`: what the agent waits for and its value (None: the answer holds it), queued once it is durable.
        `refusable`: what the agent waits for, and gets a refusal instead if a cap is in the way, or waits on for it."""
        self._frame_number += 1
        number = self._frame_number
        had = next(iter(self._unanswered.values()), number) - 1
        frame = {"t": kind, "run": self.run_id, "epoch": self.epoch, "n": number, "had": had, **body}
        future: asyncio.Future[Frame] = self.loop.create_future()
        self._unanswered[future] = number
        self._unanswered_outcomes += outcome is not None or refusable is not None
        self.link.request(frame, lambda reply: self._answered(future, reply, outcome, refusable))
        return future

    def _answered(
        self,
        future: asyncio.Future[Frame],
        reply: Frame,
        outcome: tuple[Outcome, Body | None] | None,
        refusable: Outcome | None,
    ) -> None:
        self._unanswered.pop(future, None)
        self._unanswered_outcomes -= outcome is not None or refusable is not None
        if reply["t"] == "refused":
            signal = _SIGNALS.get(reply["why"], errors.RunDiverged)(reply["message"])
            self.interrupt(signal)
            if not future.done():
                future.set_exception(_copy(signal))
                future.exception()  # a pipelined boundary has nobody who looks at it: the run's signal says it
            return
        if "seq" in reply:
            self.tape.cover(reply["seq"], reply.get("records", 0))
        self.purse.capped = self.purse.capped or bool(reply.get("capped"))
        if refusable is not None and "awaits" in reply:
            self._await_cap(refusable)
        elif refusable is not None and "refusal" in reply:
            self._refuse(refusable, self.tape.refuse(reply["seq"], reply["refusal"]))
        elif outcome is not None:
            name, known = outcome
            for charge in reply.get("charged", ()):
                self.tape.charge(charge["pays_for"], charge)
            body = known if known is not None else reply.get("ended")
            if body is not None and name not in self.tape.settled:
                self.tape.put(reply["seq"], name, body)
        if not future.done():
            future.set_result(reply)

    def _refuse(self, name: Outcome, refusal: Outcome) -> None:
        """Who waits for this outcome gets the refusal instead, in its turn."""
        self.external.discard(name)
        self._called.add(refusal)
        self._refused[name] = refusal
        future = self._waiters.pop(name, None)
        if future is not None:
            self._waiters[refusal] = future

    def _await_cap(self, name: Outcome) -> None:
        """Nothing has begun, and a person is asked to raise a cap."""
        self.external.add(name)
        self._capped[name] = self._done[name]

    def ask_again(self) -> None:
        """A cap was raised, or a person will not: what waits for one is asked for once more."""
        if self.signal is not None or self._over:
            return
        turns, self._capped = self._capped, {}
        for turn in turns.values():
            self.external.discard(turn.name)
            self._do(turn)

    def _do(self, turn: _Turn) -> None:
        self._done[turn.name] = turn
        turn.take()

    def may_pipeline(self) -> bool:
        """Whether an outcome sent now is certainly the next on the tape: it may be handed over before it is durable."""
        return not (self.signal or self.armed or self._unanswered_outcomes or self.external)

    def unanswered(self) -> list[asyncio.Future[Frame]]:
        """What has been sent and is not known to be durable."""
        return list(self._unanswered)

    async def durable(self, sent: Iterable[asyncio.Future[Frame]] | None = None) -> None:
        """Waits until what was sent (all of it if not said) is durable. Raises the signal if the run unwinds, unless it
        parks for the very calls that are under way."""
        waiting = set(self._unanswered if sent is None else sent)
        if waiting:
            await asyncio.wait(waiting)
        if not isinstance(self.signal, CallCancelled):
            self.check_signal()

    def take_record(self, seq: int, kind: str, body: Body) -> None:
        """A record that somebody else wrote while the run is driven (a timer fired, a gate was answered, an outbox
        effect ended). After a lost connection it may come twice."""
        if kind == "charge":
            self.tape.add(seq, kind, body)
            return
        by_ordinal = {"timer_fired": "timer", "child_ended": "child"}.get(kind)
        name: Outcome = ("effect", body.get("key")) if by_ordinal is None else (by_ordinal, body["ordinal"])
        if kind == "gate_answered":
            name = ("gate", (body["name"], body["ordinal"]))
        if name not in self.tape.settled:
            self.tape.add(seq, kind, body)

    async def pause(self, seconds: float) -> None:
        """Lets some time pass between two attempts of one body."""
        over: asyncio.Future[None] = self.loop.create_future()
        self.loop.call_later(seconds, over.set_result, None)
        await over

    def reach(self, name: str) -> None:
        """`tape.crash_point(name)`: asks the server, on a connection of its own, whether to go on."""
        if self.armed:
            self.link.reach(f"at:{name}", self.run_id)

    # --- operations -----------------------------------------------------------------------------------------------

    def note_call(self, name: Outcome) -> None:
        """The code asks for this outcome, which the tape holds or is going to hold."""
        self._called.add(name)
        self._progress += 1

    def perform(self, name: Outcome, asked: object, work: Callable[[], None], *, settles: bool = False) -> None:
        """The code asks for what the tape does not hold: done now, or when the tape is used up, in the order of the
        calls. `asked`, as text, is its side of a divergence; `work` sends the first boundary and must not raise."""
        self.note_call(name)
        self._asked[name] = asked
        turn = _Turn(name, work, settles, copy_context())
        if self.live:
            self._do(turn)
        else:
            self._turns.append(turn)

    def used_up(self) -> bool:
        """Whether the tape holds nothing more that the code could be about to do again."""
        return self.live or not (self.tape.outcomes or self.tape.uncalled(self._called))

    def later(self, name: Outcome, work: Callable[[], None]) -> None:
        """Something to be told to the server, in its place among what the code asks for; nobody waits for it."""
        if self.live:
            work()
        else:
            self._turns.append(_Turn(name, work, False, copy_context()))

    def start(self, work: Coroutine[Any, Any, None], *, abandonable: bool = False) -> None:
        """Runs work that must reach its record before the drive ends. `abandonable`: not if the run is not driven
        on (it is cancelled, its lease is lost)."""
        task = self.loop.create_task(work)
        self.underway.add(task)
        if abandonable:
            self._abandonable.add(task)
        task.add_done_callback(self._work_over)

    def _work_over(self, task: asyncio.Task[None]) -> None:
        self.underway.discard(task)
        self._abandonable.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, RunInterrupted):
            self.interrupt(errors.RunDiverged(f"a defect in Tape, inside a tape call: {error!r}; please report it"))

    def come(self, name: Outcome) -> Body | None:
        """An outcome that was handed over when nobody waited for it; None before that."""
        return self._come.get(name)

    async def joined(self, name: Outcome) -> Body:
        """The outcome, for as many waiters as there are, as often as they ask. Not to wait for it any more changes
        nothing about it."""
        self.check_open()
        known = self._come.get(name)
        if known is not None:
            return known
        future = self._waiters.get(name)
        if future is None:
            future = self._waiters[name] = self.loop.create_future()
            self._joining[name] = 0
        self._joining[name] += 1
        try:
            return await asyncio.shield(future)
        finally:
            self._joining[name] -= 1
            if not self._joining[name] and self._waiters.get(name) is future:
                del self._waiters[name]

    async def outcome(self, name: Outcome) -> Body:
        """Waits until this outcome is handed over. Raises BudgetExceeded if it is a refusal."""
        self.check_open()
        future: asyncio.Future[Body] = self.loop.create_future()
        self._waiters[name] = future
        self._refused.pop(name, None)
        try:
            return await future
        except asyncio.CancelledError:
            name = self._refused.get(name, name)
            self._waiters.pop(name, None)
            self._wait_cancelled(name)
            raise

    def _wait_cancelled(self, name: Outcome) -> None:
        """The agent's code cancelled a tape call. A timer, a gate, a call whose outcome is recorded: these are let go,
        it is the same on replay. Otherwise the run parks until the outcome is recorded (contract.md section 5)."""
        if self.signal is not None or self._over or name in self.tape.settled:
            return
        if name[0] in ("timer", "gate"):
            self.external.discard(name)
            return
        why = f"the agent's code cancelled {self._describe(name)} while it was open: time limits belong to tools"
        if name in self._capped:
            self.interrupt(CapCancelled(why))
            return
        turn = next((turn for turn in self._turns if turn.name == name), None)
        self.interrupt(errors.RunDiverged(f"{why}; it does so every time") if self.stubborn else CallCancelled(why))
        if turn is not None and not self.stubborn:
            self._do(turn)  # before the tape is used up: nothing more of it is handed over in this drive

    # --- idleness: outcomes are handed over one at a time -----------------------------------------------------------

    def idle(self, quiet: bool) -> bool:
        """The loop would wait now. Hands over the next outcome, or goes live, or parks; True if anything was done, and
        be it that a timer was set (the loop has made up its mind for how long to wait). `quiet`: nothing but Tape's
        own can wake the loop; otherwise being idle is no proof that nothing will come."""
        if self.signal is not None or self.main is None or self.main.done():
            return False
        waited = self._grace
        return self._advance(quiet) or self._grace is not waited

    def _advance(self, quiet: bool) -> bool:
        tape = self.tape
        while tape.outcomes:
            due = tape.outcomes[0]
            if not self.live and (due.name not in self._called or tape.uncalled(self._called, due.seq)):
                return self._stalled(quiet)
            if due.seq > tape.whole_to:
                return self._missed()
            tape.outcomes.popleft()
            self.external.discard(due.name)
            self._asked.pop(due.name, None)
            self._done.pop(due.name, None)
            self._moved()
            if due.name[0] in ("child", "started"):  # it may be asked for later, or again
                self._come[due.name] = due.body
            future = self._waiters.pop(due.name, None)
            self.purse.hand_over(due.seq, due.name, due.body, tape.paid(due.name))
            if future is not None and not future.done():
                if due.name[0] == "refusal":
                    future.set_exception(exceeded(due.body, self.run_id))
                else:
                    future.set_result(due.body)
                return True
        if self.live:
            return self._park_if_nothing_moves(quiet)
        if tape.uncalled(self._called):
            return self._stalled(quiet)
        self.go_live()
        return True

    def _moved(self) -> None:
        self._progress += 1
        self._periods = 0

    def go_live(self) -> None:
        """The tape is used up: says so, then does what waited for it, in the order in which it was called. A cancelled
        run settles what is open, and begins nothing."""
        if self.live:
            return
        self.live = True
        caps = {"caps": self.purse.declared} if self.purse.declared else {}
        caps |= {"on_exceeded": "gate"} if self.purse.gated else {}
        self.boundary("attach", {"replayed": self.replayed, "waits": False, **caps})
        turns, self._turns = self._turns, []
        for turn in turns:
            if turn.settles or not self.cancelled:
                self._do(turn)
        if self.cancelled:
            self.interrupt(errors.RunCancelled("cancelled by a person"))

    def _missed(self) -> bool:
        """A record that a reactor wrote has not come: it was lost with a connection. The next drive has it."""
        if self._unanswered:
            return False
        self.interrupt(errors.RunParked("a record was lost with the connection"))
        return True

    def _stalled(self, quiet: bool) -> bool:
        """A record waits for code that has not asked for it. If the code asks for something else instead, it diverges,
        after some time in which waits of its own may end."""
        if not (self._turns or self._waiters) or not self._overdue(1 if quiet else STALL_PERIODS):
            return False
        left = self.tape.leftover(self._called)
        if self._turns:
            asked = self._describe(self._turns[0].name)
        else:
            asked = f"nothing like it, and waits for {self._describe(next(iter(self._waiters)))}"
        self.refuse_misfit(left, "nothing more" if left is None else self.tape.describe(left), f"asks {asked}")
        return True

    def _describe(self, name: Outcome) -> str:
        return str(self._asked[name]) if name in self._asked else self.tape.describe(name)

    def _park_if_nothing_moves(self, quiet: bool) -> bool:
        if self.underway or self._unanswered:
            return False
        self._awaited_outside = [name for name in self.external if name in self._waiters]
        if not self._awaited_outside or not (quiet or self._overdue(1)):
            return False
        self.interrupt(NothingMoves("waiting"))
        return True

    def _overdue(self, periods: int) -> bool:
        """Whether nothing has moved for so many periods of grace."""
        if self._periods >= periods:
            return True
        if self._grace is None:
            self._grace = self.loop.call_later(GRACE_SECONDS, self._period_over, self._progress)
        return False

    def _period_over(self, progress: int) -> None:
        self._grace = None
        self._periods = self._periods + 1 if progress == self._progress else 0


def _copy(signal: RunInterrupted) -> RunInterrupted:
    """One of its own for each that is to raise it: a shared one would collect tracebacks."""
    return type(signal)(*signal.args)
