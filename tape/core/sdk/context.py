"""One drive of a run as its agent sees it: boundaries out, outcomes in, one at a time; signals that unwind it.

What can be asked for stands in `decisions`, `samples`, `timers` and `calls`. An operation says what it waits for
(`outcome`) and what is to be done if the tape does not hold it (`perform`); what it does, it does in a task of its
own that the agent's code cannot cancel. All of it runs on the agent process's event loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from tape.core.clock import Clock
from tape.core.kernel import errors, identity
from tape.core.kernel.errors import RunInterrupted, UsageError
from tape.core.sdk import change
from tape.core.sdk.boundaries import Boundaries, Channel
from tape.core.sdk.client import end_own_group
from tape.core.sdk.code import Code
from tape.core.sdk.decorators import Agent
from tape.core.sdk.effects import CURRENT_EFFECT, CURRENT_METER
from tape.core.sdk.hiding import KNOWN, Plain
from tape.core.sdk.patience import Patience
from tape.core.sdk.places import Places
from tape.core.sdk.purse import Purse, exceeded
from tape.core.sdk.replay import Body, Outcome, Tape
from tape.core.sdk.turns import Turn, Turns
from tape.core.sdk.waiters import Waiters
from tape.core.wire import AWAITS, Frame

STALL_PERIODS = 30
"""How many of these a run that does not fit its tape gets while its code may be waiting for something of its own."""
_SIGNALS: dict[str, type[RunInterrupted]] = {"fenced": errors.LeaseLost, "cancelled": errors.RunCancelled}


class CallCancelled(errors.RunParked):
    """The agent's code cancelled a tape call that was open: the run parks until its outcome is recorded."""


class CapCancelled(CallCancelled):
    """The same for one that waits for a cap: nothing of it has begun, and a person has the next word."""


class NothingMoves(errors.RunParked):
    """All that the run waits for comes from outside."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Where the code does not fit its tape: the record at `seq` (None: not known), and what the code does instead."""

    seq: int | None
    recorded: str
    does: str


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
        self.code = Code(self.loop)
        self.places = Places()
        self.boundaries = Boundaries(link, self.loop, self.run_id, self.epoch)
        self.underway: set[asyncio.Task[None]] = set()
        self.external: set[Outcome] = set()
        self.entered = 0
        self._budget_told = 0
        self.replayed: list[str] = []
        self._thread = threading.get_ident()
        self._over = False
        self._abandonable: set[asyncio.Task[None]] = set()
        self._waiters = Waiters(self.loop)
        self.turns = Turns()
        self._called: set[Outcome] = set()
        self._asked: dict[Outcome, object] = {}
        self._awaited_outside: list[Outcome] = []
        self._doubtful: set[str] = set()
        self._patience = Patience(self.loop)

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
            self.turns.drain()
            self._waiters.raise_in_all(signal)
            self.code.unwind()

    def check(self) -> None:
        """Raises the signal if the run unwinds; refuses tape calls from where there can be none."""
        if threading.get_ident() != self._thread:
            raise UsageError("a tape call from another thread: make it in the agent function itself, on its event loop")
        try:
            self.check_open()
        except RunInterrupted:
            self.code.note_raised()
            raise
        if CURRENT_EFFECT.get() is not None or CURRENT_METER.get() is not None:
            raise UsageError("a tool's body or a model function cannot use the run: do that in the agent function")

    async def admit(self) -> None:
        """`check` for a call that is awaited. Code that swallows every signal and calls again waits here for ever, and
        is left behind."""
        if self.spins():
            await self.code.never()
        self.check()

    def spins(self) -> bool:
        """Whether the code goes on calling although the run unwinds."""
        return self.code.spins() and threading.get_ident() == self._thread

    def check_open(self) -> None:
        """Raises the signal if the run unwinds, and one of its own once the agent function has ended."""
        self.check_signal()
        if self._over:
            raise RunInterrupted("the agent function has ended: nothing is done for what it left behind")

    def check_signal(self) -> None:
        if self.signal is not None:
            raise self.signal.copy()

    def diverge(self, recorded: str, asked: str, name: Outcome | None = None) -> NoReturn:
        """The code does not fit the tape: unwinds the run with both sides. `name`: which record it does not fit."""
        signal = self.refuse_misfit(name, recorded, f"asks {asked}")
        raise (self.signal or signal).copy()

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
            return self._caps(self.turns.capped())
        if not isinstance(self.signal, NothingMoves):
            return []
        plain = [f"{name[0]} {name[1]}" for name in self._awaited_outside if name[0] in ("timer", "child")]
        gates = [f"gate {name[1][0]} {name[1][1]}" for name in self._awaited_outside if name[0] == "gate"]
        return sorted(plain) + sorted(gates) + self._caps(self._awaited_outside)

    def awaits_caps(self) -> bool:
        """Whether an ask or a call waits for a person to raise a cap."""
        return bool(self.turns.capped())

    def _caps(self, names: Iterable[Outcome]) -> list[str]:
        capped = self.turns.capped()
        places = (f"decision {name[1]}" if name[0] == "decision" else name[1] for name in names if name in capped)
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
        self.turns.drain()
        self._patience.close()
        self._waiters.raise_in_all(RunInterrupted("the agent function has ended"))

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

        told = self._budget_told

        def take(future: asyncio.Future[Frame], reply: Frame) -> None:
            self._answered(future, reply, outcome, refusable)
            if told != self._budget_told and AWAITS in reply:  # a person's answer has overtaken this one
                self._ask_again()

        return self.boundaries.send(kind, body, take, outcome=outcome is not None or refusable is not None)

    def _answered(
        self,
        future: asyncio.Future[Frame],
        reply: Frame,
        outcome: tuple[Outcome, Body | None] | None,
        refusable: Outcome | None,
    ) -> None:
        if reply["t"] == "refused":
            signal = _SIGNALS.get(reply["why"], errors.RunDiverged)(reply["message"])
            self.interrupt(signal)
            if not future.done():
                future.set_exception(signal.copy())
                future.exception()  # a pipelined boundary has nobody who looks at it: the run's signal says it
            return
        if "seq" in reply:
            self.tape.cover(reply["seq"], reply.get("records", 0))
        self.purse.capped = self.purse.capped or bool(reply.get("capped"))
        if refusable is not None and AWAITS in reply:
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
        self._waiters.refuse(name, refusal)

    def _await_cap(self, name: Outcome) -> None:
        """Nothing has begun, and a person is asked to raise a cap."""
        self.external.add(name)
        self.turns.await_cap(name)

    def ask_again(self) -> None:
        """A cap was raised, or a person will not: what waits for one is asked for once more; what is still to hear that
        it waits, then."""
        self._budget_told += 1
        self._ask_again()

    def _ask_again(self) -> None:
        if self.signal is not None or self._over:
            return
        for turn in self.turns.drain_capped():
            self.external.discard(turn.name)
            self.turns.take(turn)

    def may_pipeline(self) -> bool:
        """Whether an outcome sent now is certainly the next on the tape: it may be handed over before it is durable."""
        return not (self.signal or self.armed or self.boundaries.open_outcomes or self.external)

    async def durable(self, sent: Iterable[asyncio.Future[Frame]] | None = None) -> None:
        """Waits until what was sent (all of it if not said) is durable. Raises the signal if the run unwinds, unless it
        parks for the very calls that are under way."""
        await self.boundaries.answered(sent)
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
        self._patience.note_call()

    def perform(self, name: Outcome, asked: object, work: Callable[[], None], *, settles: bool = False) -> None:
        """The code asks for what the tape does not hold: done now, or when the tape is used up, in the order of the
        calls. `asked`, as text, is its side of a divergence; `work` sends the first boundary and must not raise."""
        self.note_call(name)
        self._asked[name] = asked
        turn = Turn(name, work, settles)
        if self.live:
            self.turns.take(turn)
        else:
            self.turns.wait(turn)

    def used_up(self) -> bool:
        """Whether the tape holds nothing more that the code could be about to do again."""
        return self.live or not (self.tape.outcomes or self.tape.uncalled(self._called))

    def later(self, name: Outcome, work: Callable[[], None]) -> None:
        """Something to be told to the server, in its place among what the code asks for; nobody waits for it."""
        if self.live:
            work()
        else:
            self.turns.wait(Turn(name, work))

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

    async def joined(self, name: Outcome) -> Body:
        """The outcome, for as many waiters as there are, as often as they ask. Not to wait for it any more changes
        nothing about it."""
        self.check_open()
        return await self._waiters.join(name)

    async def outcome(self, name: Outcome) -> Body:
        """Waits until this outcome is handed over. Raises BudgetExceeded if it is a refusal."""
        self.check_open()
        try:
            return await self._waiters.wait(name)
        except asyncio.CancelledError:
            self._wait_cancelled(self._waiters.let_go(name))
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
        if name in self.turns.capped():
            self.interrupt(CapCancelled(why))
            return
        turn = self.turns.waiting(name)
        self.interrupt(errors.RunDiverged(f"{why}; it does so every time") if self.stubborn else CallCancelled(why))
        if turn is not None and not self.stubborn:
            self.turns.take(turn)  # before the tape is used up: nothing more of it is handed over in this drive

    # --- idleness: outcomes are handed over one at a time -----------------------------------------------------------

    def idle(self, quiet: bool) -> bool:
        """The loop would wait now. Hands over the next outcome, or goes live, or parks; True if anything was done, and
        be it that a timer was set (the loop has made up its mind for how long to wait). `quiet`: nothing but Tape's
        own can wake the loop; otherwise being idle is no proof that nothing will come."""
        if self.signal is not None or not self.code.under_way():
            return False
        timer = self._patience.timer
        return self._advance(quiet) or self._patience.timer is not timer

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
            self.turns.over(due.name)
            self._patience.note_outcome()
            if due.name[0] in ("child", "started"):  # it may be asked for later, or again
                self._waiters.keep(due.name, due.body)
            future = self._waiters.take(due.name)
            self.purse.hand_over(due.seq, due.name, due.body, tape.paid(due.name))
            if future is not None:
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

    def go_live(self) -> None:
        """The tape is used up: says so, then does what waited for it, in the order in which it was called. A cancelled
        run settles what is open, and begins nothing."""
        if self.live:
            return
        self.live = True
        caps = {"caps": self.purse.declared} if self.purse.declared else {}
        caps |= {"on_exceeded": "gate"} if self.purse.gated else {}
        self.boundary("attach", {"replayed": self.replayed, "waits": False, **caps})
        for turn in self.turns.drain():
            if turn.settles or not self.cancelled:
                self.turns.take(turn)
        if self.cancelled:
            self.interrupt(errors.RunCancelled("cancelled by a person"))

    def _missed(self) -> bool:
        """A record that a reactor wrote has not come: it was lost with a connection. The next drive has it."""
        if self.boundaries.unanswered():
            return False
        self.interrupt(errors.RunParked("a record was lost with the connection"))
        return True

    def _stalled(self, quiet: bool) -> bool:
        """A record waits for code that has not asked for it. If the code asks for something else instead, it diverges,
        after some time in which waits of its own may end."""
        name = self.turns.first() or self._waiters.first()
        if name is None or not self._patience.over(1 if quiet else STALL_PERIODS):
            return False
        left = self.tape.leftover(self._called)
        instead = "" if self.turns.waiting(name) else "nothing like it, and waits for "
        does = f"asks {instead}{self._describe(name)}"
        self.refuse_misfit(left, "nothing more" if left is None else self.tape.describe(left), does)
        return True

    def _describe(self, name: Outcome) -> str:
        return str(self._asked[name]) if name in self._asked else self.tape.describe(name)

    def _park_if_nothing_moves(self, quiet: bool) -> bool:
        if self.underway or self.boundaries.unanswered():
            return False
        self._awaited_outside = [name for name in self.external if name in self._waiters]
        if not self._awaited_outside or not (quiet or self._patience.over(1)):
            return False
        self.interrupt(NothingMoves("waiting"))
        return True
