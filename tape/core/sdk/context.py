"""The replaying run: one drive of an agent function over its tape, then on from the first seq without a record."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from tape.core.clock import Clock
from tape.core.dial import ask
from tape.core.kernel import errors, identity
from tape.core.kernel.errors import RunInterrupted, UsageError
from tape.core.kernel.resolution import Dispatch, Semantics
from tape.core.sdk.client import Link, end_own_group
from tape.core.sdk.decorators import Tool, find_tool, is_async
from tape.core.sdk.effects import CURRENT_EFFECT, CURRENT_METER, Effect, UsageMeter
from tape.core.sdk.replay import Body, Outcome, Tape, describe
from tape.core.sdk.values import error_json, signature_of, to_json, typed
from tape.core.wire import Frame

T = TypeVar("T")
STALL_GRACE_SECONDS = 0.5
PARK_GRACE_SECONDS = 0.02
BODY_END_SECONDS = 5.0
REQUEST_LIMIT_CHARACTERS = 4096

_SIGNALS: dict[str, type[RunInterrupted]] = {"fenced": errors.LeaseLost, "cancelled": errors.RunCancelled}


class RunContext:
    """What `tape.Run` and the tools stand on. All of it runs on the agent process's event loop."""

    def __init__(self, link: Link, frame: Frame, tape: Tape, clock: Clock) -> None:
        self.link = link
        self.clock = clock
        self.tape = tape
        self.loop = asyncio.get_running_loop()
        self.run_id: str = frame["run"]
        self.epoch: int = frame["epoch"]
        self.drive: int = frame["drive"]
        self.budget: dict[str, Any] = frame.get("budget", {})
        self.open_attempts: dict[str, int] = frame.get("attempts", {})
        self.armed: bool = bool(frame.get("armed"))
        self.cancelled: bool = bool(frame.get("cancelled"))
        self.live = False
        self.signal: RunInterrupted | None = None
        self.main: asyncio.Task[Any] | None = None
        self.bodies: set[asyncio.Task[None]] = set()
        self.external: set[Outcome] = set()
        self.replayed: list[str] = []
        self._waiters: dict[Outcome, asyncio.Future[Body]] = {}
        self._turns: list[asyncio.Future[None]] = []
        self._called: set[Outcome] = set()
        self._frame_number = 0
        self._unanswered: set[asyncio.Future[Frame]] = set()
        self._unanswered_outcomes = 0
        self._decisions = 0
        self._ordinal = 0
        self._samples = 0
        self._timers = 0
        self._deciding = False
        self._asking = 0
        self._progress = 0
        self._grace: asyncio.TimerHandle | None = None
        self._doubtful: set[str] = set()

    # --- signals ----------------------------------------------------------------------------------------------

    def interrupt(self, signal: RunInterrupted) -> None:
        """Unwinds the run: from now on every tape call in it raises this signal."""
        if self.signal is not None:
            return
        self.signal = signal
        for future in [*self._waiters.values(), *self._turns]:
            if not future.done():
                future.set_exception(type(signal)(*signal.args))
        self._waiters.clear()
        self._turns.clear()
        self.loop.call_later(PARK_GRACE_SECONDS, self._cancel_main)

    def _cancel_main(self) -> None:
        """The agent's code waits for something that is not Tape's: its wait is cancelled."""
        if self.main is not None and not self.main.done():
            self.main.cancel()

    def check(self) -> None:
        """Raises the signal if the run unwinds; refuses tape calls from inside bodies and model functions."""
        if self.signal is not None:
            raise type(self.signal)(*self.signal.args)
        if CURRENT_EFFECT.get() is not None or CURRENT_METER.get() is not None:
            raise UsageError("a tool's body or a model function cannot use the run: do that in the agent function")

    def diverge(self, recorded: str, asked: str) -> NoReturn:
        """The code does not fit the tape: unwinds the run with both sides."""
        self._note_divergence(recorded, asked)
        assert self.signal is not None
        raise type(self.signal)(*self.signal.args)

    def _note_divergence(self, recorded: str, asked: str) -> None:
        self.interrupt(
            errors.RunDiverged(f"the code does not fit the tape: recorded {recorded} | the code asks {asked}")
        )

    def cancel(self) -> None:
        """A person's wish arrived while the run is driven. While it replays, open effects are settled first."""
        self.cancelled = True
        if self.live:
            self.interrupt(errors.RunCancelled("cancelled by a person"))

    def leftover(self) -> str | None:
        """What the tape still holds although the agent function has returned; None if it is used up."""
        if self.live or not (self.tape.outcomes or self._uncalled()):
            return None
        return self._next_recorded()

    def in_doubt(self) -> bool:
        """Whether an effect of this drive has begun and has no outcome (its body ended, nobody knows how)."""
        return bool(self._doubtful)

    def waits(self) -> list[str]:
        """What a parked run waits for, besides open effects: `timer 0`."""
        return sorted(f"timer {name[1]}" for name in self.external if name[0] == "timer")

    def go_live(self) -> None:
        """The agent function ended exactly where its tape ends."""
        if not self.live:
            self._go_live()

    # --- frames -----------------------------------------------------------------------------------------------

    def boundary(self, kind: str, body: Body, *, outcome: bool = False) -> asyncio.Future[Frame]:
        """Sends one boundary; the future holds the server's answer. A refusal unwinds the run."""
        self._frame_number += 1
        frame = {"t": kind, "run": self.run_id, "epoch": self.epoch, "n": self._frame_number, **body}
        future: asyncio.Future[Frame] = self.loop.create_future()
        self._unanswered.add(future)
        self._unanswered_outcomes += outcome
        self.link.request(frame, lambda reply: self._answered(future, reply, outcome))
        return future

    def _answered(self, future: asyncio.Future[Frame], reply: Frame, outcome: bool) -> None:
        self._unanswered.discard(future)
        self._unanswered_outcomes -= outcome
        if reply["t"] == "refused":
            signal = _SIGNALS.get(reply["why"], errors.RunDiverged)
            self.interrupt(signal(reply["message"]))
            if not future.done():
                future.set_exception(signal(reply["message"]))
                future.exception()  # a pipelined boundary has nobody who looks at it: the run's signal says it
        elif not future.done():
            future.set_result(reply)

    async def durable(self) -> None:
        """Waits until everything sent so far is durable."""
        while self._unanswered:
            await asyncio.wait(self._unanswered)
            self.check_signal()

    def check_signal(self) -> None:
        if self.signal is not None:
            raise type(self.signal)(*self.signal.args)

    # --- idleness: outcomes are handed over one at a time -----------------------------------------------------

    def idle(self, others_wait: bool) -> bool:
        """The loop would wait now. Hands over the next outcome, or goes live, or parks; True if anything was done.
        `others_wait`: something else is scheduled on the loop, so being idle is no proof that nothing will come."""
        if self.signal is not None or self.main is None or self.main.done():
            return False
        while self.tape.outcomes:
            name, body = self.tape.outcomes[0]
            future = self._waiters.get(name)
            if future is None and name not in self._called:
                return self._stalled()
            self.tape.outcomes.popleft()
            self._waiters.pop(name, None)
            self.external.discard(name)
            self._progress += 1
            if future is not None and not future.done():
                future.set_result(body)
                return True
        if not self.live:
            return self._go_live()
        return self._park_if_nothing_moves(others_wait)

    def _stalled(self) -> bool:
        """A record waits for code that has not asked for it. If the code asks for something new instead, it diverges,
        after a moment in which waits of its own may end."""
        if self._turns and self._grace is None:
            self._grace = self.loop.call_later(STALL_GRACE_SECONDS, self._after_grace, self._progress)
        return False

    def _after_grace(self, progress: int) -> None:
        self._grace = None
        if progress == self._progress and self._turns and self.signal is None and not self.live:
            self._note_divergence(self._next_recorded(), self._asked_new)

    def _next_recorded(self) -> str:
        if self.tape.outcomes:
            name, body = self.tape.outcomes[0]
            if name[0] == "decision":
                return describe("decision", str(name[1]), body.get("request"))
            if name[0] == "effect":
                begun = self.tape.begun[name[1]]
                return describe("effect", begun["tool"], begun["args"])
            return f"{name[0]} {name[1]}"
        missing = [key for key in self.tape.begun if ("effect", key) not in self._called]
        if missing:
            begun = self.tape.begun[missing[0]]
            return describe("effect", begun["tool"], begun["args"])
        timers = [ordinal for ordinal in self.tape.timers_set if ("timer", ordinal) not in self._called]
        return f"timer {timers[0]}" if timers else "nothing more"

    _asked_new = "something new"

    def _uncalled(self) -> bool:
        return any(("effect", key) not in self._called for key in self.tape.begun) or any(
            ("timer", ordinal) not in self._called for ordinal in self.tape.timers_set
        )

    def _go_live(self) -> bool:
        """The tape is used up: says so, then starts what waited for it, in the order in which it was called."""
        if self._uncalled():
            return self._stalled()
        self.live = True
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        self.boundary("attach", {"replayed": self.replayed, "waits": False})
        for future in self._turns:
            if not future.done():
                future.set_result(None)
        self._turns.clear()
        return True

    async def turn(self, asked: str, *, settles: bool = False) -> None:
        """New work starts only when the tape is used up, and not once the run is cancelled; `settles`: work that ends
        an open effect goes on even then."""
        if not self.live:
            future: asyncio.Future[None] = self.loop.create_future()
            if not self._turns:
                self._asked_new = asked
            self._turns.append(future)
            await future
        if self.cancelled and not settles:
            self.interrupt(errors.RunCancelled("cancelled by a person"))
        self.check_signal()

    async def wait_for(self, name: Outcome) -> Body:
        """Waits until this outcome is handed over. Cancelling the wait parks the run (contract.md section 5)."""
        self._called.add(name)
        future: asyncio.Future[Body] = self.loop.create_future()
        self._waiters[name] = future
        try:
            return await future
        except asyncio.CancelledError:
            self._waiters.pop(name, None)
            if self.signal is None:
                self.interrupt(errors.RunParked("the agent's code cancelled an open tape call"))
            raise

    def take_record(self, seq: int, kind: str, body: Body) -> None:
        """A record that a reactor wrote while the run is driven (a timer fired, an outbox effect ended)."""
        self.tape.add(seq, kind, body)

    def _park_if_nothing_moves(self, others_wait: bool) -> bool:
        if not self.external or self.bodies or self._asking or self._unanswered:
            return False
        if not others_wait:
            self.interrupt(errors.RunParked("waiting"))
            return True
        if self._grace is None:
            self._grace = self.loop.call_later(PARK_GRACE_SECONDS, self._park_after_grace, self._progress)
        return False

    def _park_after_grace(self, progress: int) -> None:
        self._grace = None
        if progress == self._progress and self.signal is None and not self.tape.outcomes:
            self._park_if_nothing_moves(False)

    # --- decisions --------------------------------------------------------------------------------------------

    async def decide(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.check()
        if self._deciding:
            raise UsageError("a second decide at the same time: use child runs, or decide one after the other")
        self._deciding = True
        try:
            name = getattr(function, "__name__", type(function).__name__)
            request = to_json({"args": list(args), "kwargs": kwargs}, f"what is asked of {name}")
            index, self._decisions, self._ordinal = self._decisions, self._decisions + 1, 0
            fingerprint = identity.fingerprint("decision", name, request)
            recorded = self.tape.decisions.get(index)
            if recorded is None:
                await self.turn(describe("decision", name, request))
                await self._ask(function, args, kwargs, index, name, request, fingerprint)
            elif recorded["fingerprint"] != fingerprint:
                self.diverge(
                    describe("decision", recorded["name"], recorded.get("request")),
                    describe("decision", name, request),
                )
            body = await self.wait_for(("decision", index))
        finally:
            self._deciding = False
        if body.get("error") is not None:
            raise errors.ModelFailed(f"{name}: {body['error']['type']}: {body['error']['message']}")
        return typed(body["reply"], signature_of(function).returns, f"the reply of {name}")

    async def _ask(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        index: int,
        name: str,
        request: Any,
        fingerprint: str,
    ) -> None:
        """Asks the model once, and sends its reply on its way to the journal."""
        asked = self.boundary("ask", {"index": index, "name": name, "waits": self.armed})
        if self.armed:
            await asked
        while self._unanswered - {asked}:
            await asyncio.wait(self._unanswered - {asked})
            self.check_signal()
        meter = UsageMeter()
        reply: Any = None
        error: dict[str, str] | None = None
        self._asking += 1
        try:
            reply = to_json(await self._in_meter(function, args, kwargs, meter), f"the reply of {name}")
        except Exception as raised:  # whatever an author's model function raises is a recorded reply
            error = error_json(raised)
        finally:
            self._asking -= 1
        self.check_signal()
        body = {
            "index": index,
            "name": name,
            "fingerprint": fingerprint,
            "request": _bounded(request),
            "reply": reply,
            "error": error,
        }
        pipelined = not (self.armed or self._unanswered_outcomes or self.external)
        sent = self.boundary(
            "decision", {"decision": body, "usage": meter.as_json(), "waits": not pipelined}, outcome=True
        )
        if not pipelined:
            await sent
        self.tape.outcomes.append((("decision", index), body))

    async def _in_meter(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], meter: UsageMeter
    ) -> Any:
        async def call() -> Any:
            CURRENT_METER.set(meter)
            if is_async(function):
                return await function(*args, **kwargs)
            result = await asyncio.to_thread(function, *args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return await self.loop.create_task(call())  # a task of its own: the meter stays in its context

    # --- samples and timers -----------------------------------------------------------------------------------

    async def sample(self, name: str, function: Callable[[], Any]) -> Any:
        self.check()
        index, self._samples = self._samples, self._samples + 1
        fingerprint = identity.fingerprint("sample", name, None)
        recorded = self.tape.samples.get(index)
        if recorded is None:
            await self.turn(f"sample {name}")
            value, error = None, None
            try:
                found = function()
                value = to_json(await found if inspect.isawaitable(found) else found, f"the sample {name}")
            except Exception as raised:  # recorded, the same on replay
                error = error_json(raised)
            self.check_signal()
            body = {"index": index, "name": name, "fingerprint": fingerprint, "value": value, "error": error}
            pipelined = not (self.armed or self._unanswered_outcomes or self.external)
            sent = self.boundary("sample", {"sample": body}, outcome=True)
            if not pipelined:
                await sent
            self.tape.outcomes.append((("sample", index), body))
        elif recorded["fingerprint"] != fingerprint:
            self.diverge(f"sample {recorded['name']}", f"sample {name}")
        body = await self.wait_for(("sample", index))
        if body.get("error") is not None:
            raise errors.SampleFailed(f"{name}: {body['error']['type']}: {body['error']['message']}")
        return body["value"]

    async def sleep(self, seconds: float) -> None:
        self.check()
        if isinstance(seconds, bool) or not 0 <= seconds < 3_200_000_000:
            raise UsageError(f"run.sleep takes seconds, from 0 to a hundred years, not {seconds!r}")
        ordinal, self._timers = self._timers, self._timers + 1
        name: Outcome = ("timer", ordinal)
        fingerprint = identity.fingerprint("timer", "sleep", float(seconds))
        recorded = self.tape.timers_set.get(ordinal)
        if recorded is None:
            self._called.add(name)
            await self.turn(f"timer {seconds} s")
            await self.boundary("timer", {"ordinal": ordinal, "seconds": float(seconds), "fingerprint": fingerprint})
        elif recorded["fingerprint"] != fingerprint:
            self.diverge(f"timer {recorded['seconds']} s", f"timer {seconds} s")
        self.external.add(name)
        await self.wait_for(name)

    # --- effects ----------------------------------------------------------------------------------------------

    def call_tool(self, tool: Tool[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        """Takes the call's ordinal now (calls are numbered as they are made) and returns what is to be awaited."""
        self.check()
        arguments = signature_of(tool.function).bind(args, kwargs)
        signature_of(tool.function).call_arguments(arguments)  # arguments are checked before anything is recorded
        decision = self._decisions - 1 if self._decisions else None
        ordinal, self._ordinal = self._ordinal, self._ordinal + 1
        return self._effect(tool, arguments, decision, ordinal)

    async def _effect(self, tool: Tool[..., Any], args: dict[str, Any], decision: int | None, ordinal: int) -> Any:
        self.check_signal()
        key = identity.effect_key(self.run_id, decision, ordinal, tool.name)
        name: Outcome = ("effect", key)
        fingerprint = identity.fingerprint("effect", tool.name, args)
        begun = self.tape.begun.get(key)
        if begun is None:
            other = self._same_place(decision, ordinal)
            if other is not None:
                self.diverge(describe("effect", other["tool"], other["args"]), describe("effect", tool.name, args))
            await self.turn(describe("effect", tool.name, args))
            begun = await self._begin(tool, args, decision, ordinal, key, fingerprint)
            self._called.add(name)
            if tool.options.dispatch is Dispatch.OUTBOX:
                self.external.add(name)
            else:
                self._start_body(tool, begun, 1, first=True)
        elif begun["fingerprint"] != fingerprint:
            self.diverge(describe("effect", begun["tool"], begun["args"]), describe("effect", tool.name, args))
        elif key in self.tape.ended:
            self.replayed.append(key)
        else:
            self._called.add(name)
            await self.turn(describe("effect", tool.name, args), settles=True)
            if begun.get("dispatch") == Dispatch.OUTBOX:
                self.external.add(name)
            else:
                self._start_body(tool, begun, self.open_attempts.get(key, 1) + 1, first=False)
        return self._outcome(tool, await self.wait_for(name))

    def _same_place(self, decision: int | None, ordinal: int) -> Body | None:
        for body in self.tape.begun.values():
            if body["decision_index"] == decision and body["ordinal"] == ordinal:
                return body
        return None

    def _outcome(self, tool: Tool[..., Any], body: Body) -> Any:
        if body["status"] == "FAILED":
            error = body.get("error") or {"type": "EffectFailed", "message": "no reason was given"}
            failed = errors.EffectFailed(f"{tool.name}: {error['type']}: {error['message']}")
            raise failed
        if body.get("result_error"):
            raise errors.ResultUnrecordable(f"{tool.name} has acted, but {body['result_error']}")
        try:
            return typed(body["result"], signature_of(tool.function).returns, f"the result of {tool.name}")
        except UsageError as error:
            raise errors.ResultUnrecordable(f"{tool.name} has acted, but {error}") from None

    async def _begin(
        self, tool: Tool[..., Any], args: dict[str, Any], decision: int | None, ordinal: int, key: str, print_: str
    ) -> Body:
        business_key = None
        if tool.options.business_key is not None:
            positional, named = signature_of(tool.function).call_arguments(args)
            business_key = str(tool.options.business_key(*positional, **named))
        call = {
            "decision_index": decision,
            "ordinal": ordinal,
            "tool": tool.name,
            "args": args,
            "policy": tool_policy(tool),
            "business_key": business_key,
        }
        begun_at = datetime.fromtimestamp(self.clock.wall_us() // 1_000_000, UTC).isoformat()
        await self.boundary("begin", {"call": call, "fingerprint": print_})
        return {**call, "key": key, "begun_at": begun_at}

    def _start_body(self, tool: Tool[..., Any], begun: Body, number: int, *, first: bool) -> None:
        task = self.loop.create_task(self._attempts(tool, begun, number, first))
        self.bodies.add(task)
        task.add_done_callback(self._body_over)

    def _body_over(self, task: asyncio.Task[None]) -> None:
        self.bodies.discard(task)
        if not task.cancelled() and isinstance(task.exception(), Exception):
            self.interrupt(errors.RunDiverged(f"Tape failed inside a tool call: {task.exception()!r}"))

    async def _attempts(self, tool: Tool[..., Any], begun: Body, number: int, first: bool) -> None:
        """Enters the body, again while the server says that a retry may start, and records each attempt's end."""
        key: str = begun["key"]
        while True:
            if not first:
                await self.boundary("attempt", {"key": key, "number": number})
            first = False
            meter = UsageMeter()
            ending = await self._enter(tool, begun, number, meter)
            usage = meter.as_json() if meter.reported else None
            reply = await self.boundary(
                "end", {"key": key, "number": number, "ending": ending, "usage": usage}, outcome=True
            )
            if reply.get("ended") is not None:
                self.tape.outcomes.append((("effect", key), reply["ended"]))
                return
            if reply["step"] != "again":
                self._doubtful.add(key)
                self.interrupt(errors.RunParked(f"{key} is in doubt"))
                return
            number += 1

    async def _enter(self, tool: Tool[..., Any], begun: Body, number: int, meter: UsageMeter) -> Body:
        """One entering of the body; returns how it ended as the wire's `ending`."""
        effect = Effect(
            key=begun["key"],
            tool=tool.name,
            args=begun["args"],
            run_id=self.run_id,
            decision_index=begun["decision_index"],
            call_ordinal=begun["ordinal"],
            attempt=number,
            epoch=self.epoch,
            business_key=begun.get("business_key"),
            begun_at=begun.get("begun_at", ""),
        )
        try:
            result = await run_body(tool, effect, meter)
        except TimeoutError as error:
            how = "timed out" if isinstance(error, BodyTimeout) else "raised"
            return _ambiguous(tool, error, how)
        except errors.Rejected as error:
            return {"how": "rejected", "error": error_json(error)}
        except Exception as error:  # whatever a body raises is an outcome of its attempt
            return _ambiguous(tool, error, "raised")
        try:
            return {"how": "returned", "result": to_json(result, f"the result of {tool.name}")}
        except UsageError as error:
            return {"how": "returned", "result": None, "result_error": str(error)}

    # --- own points -------------------------------------------------------------------------------------------

    def reach(self, name: str) -> None:
        """`tape.crash_point(name)`: asks the server, on a connection of its own, whether to go on."""
        if self.armed:
            point = {"t": "point", "name": f"at:{name}", "run": self.run_id, "nonce": self.link.hello["nonce"]}
            ask(self.link.path, point)


def _ambiguous(tool: Tool[..., Any], error: BaseException, how: str) -> Body:
    if tool.options.semantics is Semantics.READ_ONLY:
        return {"how": "failed", "error": error_json(error)}
    return {"how": how, "error": error_json(error)}


def _bounded(request: Any) -> Any:
    """A request as it is recorded: whole while it is small; its fingerprint stands beside it in any case."""
    text = identity.canonical_json(request)
    return request if len(text) <= REQUEST_LIMIT_CHARACTERS else {"cut": text[:REQUEST_LIMIT_CHARACTERS] + "…"}


def tool_policy(tool: Tool[..., Any]) -> Body:
    """What a tool declares, as the wire carries it; times in microseconds."""
    options, undo = tool.options, tool.undo
    lifetime = options.key_lifetime
    return {
        "semantics": options.semantics,
        "look_up": tool.look_up is not None,
        "authoritative": options.authoritative,
        "settle_us": int(options.settle_delay * 1_000_000),
        "on_unknown": options.on_unknown if undo is not None else "ask",
        "key_lifetime_us": None if lifetime is None else int(lifetime * 1_000_000),
        "retries": options.retries,
        "dispatch": options.dispatch,
        "compensable": undo is not None,
        "undo_auto": undo is not None and undo.auto,
        "undo_semantics": undo.semantics if undo is not None else "non_idempotent",
        "undo_look_up": undo is not None and undo.observe is not None,
    }


class BodyTimeout(TimeoutError):
    """The tool's own time limit is over; the body was cancelled and has ended."""


async def run_body(tool: Tool[..., Any], effect: Effect, meter: UsageMeter) -> Any:
    """Enters a tool's body with recorded arguments. A body that does not end after its time limit (a thread cannot
    be cancelled) ends this process: only a dead process is certainly over."""
    positional, named = signature_of(tool.function).call_arguments(effect.args)

    async def call() -> Any:
        CURRENT_EFFECT.set(effect)
        CURRENT_METER.set(meter)
        if is_async(tool.function):
            return await tool.function(*positional, **named)
        return await asyncio.to_thread(tool.function, *positional, **named)

    task = asyncio.get_running_loop().create_task(call())
    await asyncio.wait({task}, timeout=tool.options.timeout)
    if not task.done():
        if not is_async(tool.function):
            end_own_group(f"{tool.name} is over its time limit of {tool.options.timeout} s in a thread")
        task.cancel()
        await asyncio.wait({task}, timeout=BODY_END_SECONDS)
        if not task.done():
            end_own_group(f"{tool.name} does not end after its time limit of {tool.options.timeout} s")
        if task.cancelled():
            raise BodyTimeout(f"over the time limit of {tool.options.timeout} s")
    if task.cancelled():
        raise RuntimeError("the body was cancelled from inside")
    return task.result()


class Run:
    """What an agent function gets (api.md section 1). `epoch`, `drive` and `replaying` are for logs only."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    @property
    def id(self) -> str:
        return self._context.run_id

    @property
    def epoch(self) -> int:
        return self._context.epoch

    @property
    def drive(self) -> int:
        return self._context.drive

    @property
    def replaying(self) -> bool:
        return not self._context.live

    async def decide(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Asks `function` once and journals its reply; on replay returns the record, typed by its return annotation.
        Raises ModelFailed if it raised."""
        return await self._context.decide(function, args, kwargs)

    async def call(self, name_or_tool: str | Tool[..., Any], /, **args: Any) -> Any:
        """The same as calling the tool, for names chosen by the model. Raises UsageError for an unknown name."""
        tool = find_tool(name_or_tool) if isinstance(name_or_tool, str) else name_or_tool
        return await self._context.call_tool(tool, (), args)

    async def sample(self, function: Callable[[], Any], /) -> Any:
        """Journals what `function` (plain or async) returns. Raises SampleFailed if it raised."""
        return await self._context.sample(getattr(function, "__name__", "sample"), function)

    async def now(self) -> datetime:
        """The journalled time, UTC."""
        stamp = await self._context.sample("now", self._context.clock.wall_us)
        return datetime.fromtimestamp(stamp // 1_000_000, UTC).replace(microsecond=stamp % 1_000_000)

    async def uuid(self) -> str:
        """A journalled random UUID (version 4) as text."""
        return await self._context.sample("uuid", self._new_uuid)

    def _new_uuid(self) -> str:
        bits = self._context.clock.bits(128)
        bits = bits & ~(0xF000 << 64) | 0x4000 << 64
        text = f"{bits & ~(0xC000 << 48) | 0x8000 << 48:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    async def random(self) -> float:
        """A journalled random number, at least 0 and below 1."""
        return await self._context.sample("random", lambda: self._context.clock.bits(53) / (1 << 53))

    async def sleep(self, seconds: float) -> None:
        """A durable timer: the worker is free meanwhile, and a crash does not restart it."""
        await self._context.sleep(seconds)
