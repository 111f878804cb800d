"""Tool calls: the intent is durable before the body is entered, the outcome before the agent sees it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

from tape.core.clock import format_us
from tape.core.kernel import errors, identity
from tape.core.kernel.errors import UsageError, text_of
from tape.core.kernel.hidden import identified
from tape.core.kernel.policy import RETRY_BACKOFF
from tape.core.kernel.resolution import Dispatch
from tape.core.sdk import bodies
from tape.core.sdk.concealing import conceal
from tape.core.sdk.context import RunContext
from tape.core.sdk.decorators import Tool
from tape.core.sdk.effects import Effect, UsageMeter, micro_usd
from tape.core.sdk.gates import Approvals
from tape.core.sdk.hiding import opened
from tape.core.sdk.replay import Body, Outcome, describe_begun, describe_call
from tape.core.sdk.stand_ins import stand_in
from tape.core.sdk.values import check_annotation, signature_of, typed
from tape.core.wire import NOTHING_BEGUN, Frame

BUSINESS_KEY_LIMIT = 4000
"""Characters."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One call at its place in the run. `args` and `hidden` are recorded; `live` are the redacted arguments, plain."""

    tool: Tool[..., Any]
    args: dict[str, Any]
    hidden: dict[str, dict[str, str]] | None
    live: dict[str, Any]
    business_key: str | None
    decision: int | None
    ordinal: int
    key: str
    fingerprint: str
    cost_micro: int | None
    awaited: bool = True

    @property
    def outcome(self) -> Outcome:
        return ("effect" if self.awaited else "enqueued", self.key)

    def __str__(self) -> str:
        return describe_call(self.outcome[0], self.tool.name, self.args, self.hidden)


class Calls:
    """The tool calls of one drive."""

    def __init__(self, context: RunContext, approvals: Approvals) -> None:
        self._context = context
        self._approvals = approvals

    def call_tool(self, tool: Tool[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        """Takes the call's ordinal now (calls are numbered as they are made) and returns what is to be awaited.
        Raises UsageError for arguments that do not fit: then nothing is recorded."""
        if self._context.spins():
            return self._context.code.never()
        return self._await(self._call(tool, args, kwargs, awaited=True))

    def enqueue_tool(self, tool: Tool[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[str]:
        """The same for a call whose end nobody waits for."""
        if self._context.spins():
            return self._context.code.never()
        return self._enqueue(self._call(tool, args, kwargs, awaited=False))

    def _call(self, tool: Tool[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], *, awaited: bool) -> _Call:
        context = self._context
        context.check()
        signature = signature_of(tool.function)
        concealed = conceal(tool, args, kwargs, context.plain)
        positional, named = signature.call_arguments(concealed.passed, concealed.untyped)
        business_key = None
        if tool.options.business_key is not None:
            business_key = _business_key(tool, positional, named)
        check_annotation(signature.returns, f"the result of {tool.name}")  # wrong before the act, not after it
        cost = None if tool.options.cost is None else _cost(tool, positional, named)
        decision, ordinal = context.places.next_call()
        key = identity.effect_key(context.run_id, decision, ordinal, tool.name)
        arguments, hidden, live = concealed.args, concealed.hidden, concealed.live
        fingerprint = identity.fingerprint(
            "effect" if awaited else "enqueued", tool.name, identified(arguments, hidden)
        )
        place = (business_key, decision, ordinal, key)
        return _Call(tool, arguments, hidden, live, *place, fingerprint, cost, awaited)

    async def _recorded(self, call: _Call) -> Body | None:
        """What was begun at this place; None if nothing was. Anything else than this call unwinds the run. Raises
        BudgetExceeded, in its turn, for a call that a cap refused."""
        context = self._context
        context.check_open()
        refused = context.tape.refusals.get((call.key, 0))
        if refused is not None:
            refusal: Outcome = ("refusal", (call.key, 0))
            if not self._fits(refused["fingerprint"], call):
                context.diverge(context.tape.describe(call.outcome), str(call), refusal)
            with contextlib.suppress(errors.NotApproved):  # a fork: it was approved then, and is void now
                self._approvals.take(call.tool, identity.hash_args(call.args, call.hidden))  # used up, as it was then
            context.note_call(refusal)
            await context.outcome(refusal)
        begun = context.tape.begun.get(call.key)
        if begun is None:
            other = context.tape.begun_at(call.decision, call.ordinal)
            if other is not None:
                context.diverge(context.tape.describe(other), str(call), other)
        elif not self._fits(begun["fingerprint"], call):
            context.diverge(describe_begun(begun), str(call), call.outcome)
        return begun

    def _fits(self, recorded: str, call: _Call) -> bool:
        asked = identified(call.args, call.hidden)
        return self._context.same(recorded, call.fingerprint, call.outcome[0], call.tool.name, asked)

    async def _enqueue(self, call: _Call) -> str:
        context = self._context
        begun = await self._recorded(call)
        if begun is None:
            approval = self._approve(call)
            context.perform(call.outcome, call, lambda: self._hand_over(call, approval))
        else:
            context.note_call(call.outcome)
            self._approvals.note_begun(begun)
        await context.outcome(call.outcome)
        return call.key

    def _hand_over(self, call: _Call, approval: str | None) -> None:
        context = self._context
        refusable = call.outcome if context.purse.capped else None
        context.boundary("begin", self._begins(call, approval), (call.outcome, {"key": call.key}), refusable=refusable)

    async def _await(self, call: _Call) -> Any:
        context = self._context
        begun = await self._recorded(call)
        if begun is None:
            approval = self._approve(call)
            context.perform(call.outcome, call, lambda: self._begin(call, approval))
        elif call.key in context.tape.ended:
            context.note_call(call.outcome)
            context.replayed.append(call.key)
        else:
            context.perform(call.outcome, call, lambda: self._resume(call, begun), settles=True)
        if begun is not None:
            self._approvals.note_begun(begun)
        return _result(call.tool, await context.outcome(call.outcome))

    def _approve(self, call: _Call) -> str | None:
        """The approval that the call uses up. A refusal is told once: on replay of what came after it, it is known."""
        context = self._context
        args_hash = identity.hash_args(call.args, call.hidden)
        try:
            return self._approvals.take(call.tool, args_hash)
        except errors.NotApproved as refused:
            body = {"tool": call.tool.name, "args_hash": args_hash, "why": str(refused), "waits": False}

            def tell() -> None:
                context.boundary("unapproved", body)

            if context.used_up():
                context.later(call.outcome, tell)
            raise

    def _asked(self, call: _Call, approval: str | None) -> Body:
        return {
            "decision_index": call.decision,
            "ordinal": call.ordinal,
            "tool": call.tool.name,
            "args": call.args,
            "hidden": call.hidden,
            "policy": tool_policy(call.tool),
            "business_key": call.business_key,
            "approval": approval,
            "cost_micro": call.cost_micro,
            "awaited": call.awaited,
        }

    def _begins(self, call: _Call, approval: str | None) -> Body:
        """In a fork the call has its outcome with its begin."""
        context = self._context
        frame = {
            "call": self._asked(call, approval),
            "fingerprint": call.fingerprint,
            "capped": context.purse.capped,
        }
        return {**frame, "stand_in": stand_in(call.tool)} if context.quarantine else frame

    def _begin(self, call: _Call, approval: str | None) -> None:
        context = self._context
        refusable = call.outcome if context.purse.capped else None
        frame = self._begins(call, approval)
        if context.quarantine:
            context.boundary("begin", frame, (call.outcome, None), refusable=refusable)
            return
        outbox = call.tool.options.dispatch is Dispatch.OUTBOX
        if outbox:
            context.external.add(call.outcome)
        begun = {**frame["call"], "key": call.key, "begun_at": format_us(context.clock.wall_us())}
        sent = context.boundary("begin", frame, refusable=refusable)
        if not outbox:
            context.start(self._attempts(call, begun, 1, sent))

    def _resume(self, call: _Call, begun: Body) -> None:
        """The effect is open, and the table says that its body runs again."""
        context = self._context
        if begun.get("dispatch") == Dispatch.OUTBOX:
            context.external.add(call.outcome)
            return
        number = context.open_attempts.get(call.key, 1) + 1
        sent = context.boundary("attempt", {"key": call.key, "number": number})
        context.start(self._attempts(call, begun, number, sent))

    async def _attempts(self, call: _Call, begun: Body, number: int, sent: asyncio.Future[Frame]) -> None:
        """Enters the body once its attempt is durable, again while the server says that a retry may start, and
        records each attempt's end."""
        context = self._context
        while True:
            answer = await sent
            if isinstance(context.signal, errors.LeaseLost) or answer.keys() & NOTHING_BEGUN:
                return
            meter = UsageMeter()
            context.entered += 1
            try:
                effect = self._effect(begun, number)
                ending = await bodies.attempt(call.tool, effect, meter, call.live, context.plain)
            finally:
                context.entered -= 1
            usage = meter.as_json() if meter.reported else None
            end = {"key": call.key, "number": number, "ending": ending, "usage": usage}
            reply = await context.boundary("end", end, (call.outcome, None))
            if reply.get("ended") is not None:
                return
            if reply["step"] != "again" or context.signal is not None:
                context.doubt(call.key)
                return
            await context.pause(RETRY_BACKOFF.delay_us(number) / 1_000_000)
            if context.signal is not None:
                context.doubt(call.key)
                return
            number += 1
            sent = context.boundary("attempt", {"key": call.key, "number": number})

    def _effect(self, begun: Body, number: int) -> Effect:
        return Effect(
            key=begun["key"],
            tool=begun["tool"],
            args=opened(begun["args"], begun.get("hidden")),
            run_id=self._context.run_id,
            decision_index=begun["decision_index"],
            call_ordinal=begun["ordinal"],
            attempt=number,
            epoch=self._context.epoch,
            business_key=begun.get("business_key"),
            begun_at=begun.get("begun_at", ""),
        )


def _business_key(tool: Tool[..., Any], positional: list[Any], named: dict[str, Any]) -> str:
    assert tool.options.business_key is not None
    try:
        found: Any = tool.options.business_key(*positional, **named)
    except Exception as error:  # the author's function, whatever it raises
        raise UsageError(f"business_key of {tool.name}: {type(error).__name__}: {text_of(error)}") from error
    if not isinstance(found, str) or not found:
        raise UsageError(f"business_key of {tool.name} returned {found!r}: it returns a text that is not empty")
    if len(found) > BUSINESS_KEY_LIMIT:
        raise UsageError(
            f"business_key of {tool.name} returned {len(found)} characters; the limit is {BUSINESS_KEY_LIMIT}"
        )
    text = str.__str__(found)  # of a subclass, too, the text itself
    try:
        identity.check_json(text)
    except UsageError as error:
        raise UsageError(f"business_key of {tool.name} returned {text!r}: {error}") from None
    return text


def _cost(tool: Tool[..., Any], positional: list[Any], named: dict[str, Any]) -> int:
    """What this call costs, in millionths of a dollar."""
    cost = tool.options.cost
    if callable(cost):
        try:
            cost = cost(*positional, **named)
        except Exception as error:  # the author's function, whatever it raises
            raise UsageError(f"cost of {tool.name}: {type(error).__name__}: {text_of(error)}") from error
    return micro_usd(cost, f"cost of {tool.name} in dollars")


def _result(tool: Tool[..., Any], body: Body) -> Any:
    """What the agent's code gets for an outcome. Raises EffectFailed or ResultUnrecordable."""
    if body["status"] == "FAILED":
        error = body.get("error") or {"type": "EffectFailed", "message": "no reason was given"}
        said = error["message"] if error["type"] == "EffectFailed" else f"{error['type']}: {error['message']}"
        raise errors.EffectFailed(f"{tool.name}: {said}")
    if body.get("result_error"):
        raise errors.ResultUnrecordable(f"{tool.name} has acted, but {body['result_error']}")
    try:
        return typed(body["result"], signature_of(tool.function).returns, f"the result of {tool.name}")
    except UsageError as error:
        raise errors.ResultUnrecordable(f"{tool.name} has acted, but {error}") from None


def tool_policy(tool: Tool[..., Any]) -> Body:
    """What a tool declares, as the wire carries it; times in microseconds."""
    options, undo = tool.options, tool.undo
    lifetime, limit = options.key_lifetime, options.timeout
    return {
        "semantics": options.semantics,
        "look_up": tool.look_up is not None,
        "authoritative": options.authoritative,
        "settle_us": int(options.settle_delay * 1_000_000),
        "on_unknown": options.on_unknown,
        "key_lifetime_us": None if lifetime is None else int(lifetime * 1_000_000),
        "retries": options.retries,
        "dispatch": options.dispatch,
        "compensable": undo is not None,
        "undo_auto": undo is not None and undo.auto,
        "undo_semantics": undo.semantics if undo is not None else "non_idempotent",
        "undo_look_up": undo is not None and undo.observe is not None,
        "needs_approval": options.needs_approval,
        "timeout_us": None if limit is None else int(limit * 1_000_000),
    }
