"""Tool calls: the intent is durable before the body is entered, the outcome before the agent sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

from tape.core.clock import format_us
from tape.core.kernel import errors, identity
from tape.core.kernel.errors import UsageError
from tape.core.kernel.resolution import Dispatch
from tape.core.sdk import bodies
from tape.core.sdk.context import RunContext
from tape.core.sdk.decorators import Tool
from tape.core.sdk.effects import Effect, UsageMeter, micro_usd
from tape.core.sdk.gates import Approvals
from tape.core.sdk.replay import Body, Outcome, describe
from tape.core.sdk.values import check_annotation, signature_of, typed
from tape.core.wire import Frame


@dataclass(frozen=True, slots=True)
class _Call:
    """One call at its place in the run."""

    tool: Tool[..., Any]
    args: dict[str, Any]
    business_key: str | None
    decision: int | None
    ordinal: int
    key: str
    fingerprint: str
    cost_micro: int | None

    @property
    def outcome(self) -> Outcome:
        return ("effect", self.key)

    def __str__(self) -> str:
        return describe("effect", self.tool.name, self.args)


class Calls:
    """The tool calls of one drive."""

    def __init__(self, context: RunContext, approvals: Approvals) -> None:
        self._context = context
        self._approvals = approvals

    def call_tool(self, tool: Tool[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        """Takes the call's ordinal now (calls are numbered as they are made) and returns what is to be awaited.
        Raises UsageError for arguments that do not fit: then nothing is recorded."""
        context = self._context
        context.check()
        signature = signature_of(tool.function)
        arguments = signature.bind(args, kwargs)
        positional, named = signature.call_arguments(arguments)
        business_key = None
        if tool.options.business_key is not None:
            business_key = _business_key(tool, positional, named)
        check_annotation(signature.returns, f"the result of {tool.name}")  # wrong before the act, not after it
        cost = None if tool.options.cost is None else _cost(tool, positional, named)
        decision, ordinal = context.next_call()
        key = identity.effect_key(context.run_id, decision, ordinal, tool.name)
        fingerprint = identity.fingerprint("effect", tool.name, arguments)
        return self._await(_Call(tool, arguments, business_key, decision, ordinal, key, fingerprint, cost))

    async def _await(self, call: _Call) -> Any:
        context = self._context
        context.check_open()
        begun, refused = context.tape.begun.get(call.key), context.tape.refusals.get((call.key, 0))
        if refused is not None:
            if refused["fingerprint"] != call.fingerprint:
                context.diverge(context.tape.describe(call.outcome), str(call))
            self._approvals.take(call.tool, identity.hash_json(call.args))  # used up, as it was then
            refusal: Outcome = ("refusal", (call.key, 0))
            context.note_call(refusal)
            await context.outcome(refusal)
        if begun is None:
            other = context.tape.begun_at(call.decision, call.ordinal)
            if other is not None:
                context.diverge(other, str(call))
            approval = self._approve(call)
            context.perform(call.outcome, call, lambda: self._begin(call, approval))
        elif begun["fingerprint"] != call.fingerprint:
            context.diverge(describe("effect", begun["tool"], begun["args"]), str(call))
        elif call.key in context.tape.ended:
            context.note_call(call.outcome)
            context.replayed.append(call.key)
        else:
            context.perform(call.outcome, call, lambda: self._resume(call, begun), settles=True)
        if begun is not None:
            self._approvals.note_begun(call.tool.name, begun)
        return _result(call.tool, await context.outcome(call.outcome))

    def _approve(self, call: _Call) -> str | None:
        """The approval that the call uses up. A refusal is told once: on replay of what came after it, it is known."""
        context = self._context
        args_hash = identity.hash_json(call.args)
        try:
            return self._approvals.take(call.tool, args_hash)
        except errors.NotApproved as refused:
            body = {"tool": call.tool.name, "args_hash": args_hash, "why": str(refused), "waits": False}

            def tell() -> None:
                context.boundary("unapproved", body)

            if context.used_up():
                context.later(call.outcome, tell)
            raise

    def _begin(self, call: _Call, approval: str | None) -> None:
        context = self._context
        asked = {
            "decision_index": call.decision,
            "ordinal": call.ordinal,
            "tool": call.tool.name,
            "args": call.args,
            "policy": tool_policy(call.tool),
            "business_key": call.business_key,
            "approval": approval,
            "cost_micro": call.cost_micro,
        }
        outbox = call.tool.options.dispatch is Dispatch.OUTBOX
        if outbox:
            context.external.add(call.outcome)
        begun = {**asked, "key": call.key, "begun_at": format_us(context.clock.wall_us())}
        frame = {"call": asked, "fingerprint": call.fingerprint, "capped": context.purse.capped}
        sent = context.boundary("begin", frame, refusable=call.outcome if context.purse.capped else None)
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
            if isinstance(context.signal, errors.LeaseLost) or "refusal" in answer:
                return
            meter = UsageMeter()
            context.entered += 1
            try:
                ending = await bodies.attempt(call.tool, self._effect(begun, number), meter)
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
            number += 1
            sent = context.boundary("attempt", {"key": call.key, "number": number})

    def _effect(self, begun: Body, number: int) -> Effect:
        return Effect(
            key=begun["key"],
            tool=begun["tool"],
            args=begun["args"],
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
        raise UsageError(f"business_key of {tool.name}: {type(error).__name__}: {error}") from error
    if not isinstance(found, str) or not found:
        raise UsageError(f"business_key of {tool.name} returned {found!r}: it returns a text that is not empty")
    return found


def _cost(tool: Tool[..., Any], positional: list[Any], named: dict[str, Any]) -> int:
    """What this call costs, in millionths of a dollar."""
    cost = tool.options.cost
    if callable(cost):
        try:
            cost = cost(*positional, **named)
        except Exception as error:  # the author's function, whatever it raises
            raise UsageError(f"cost of {tool.name}: {type(error).__name__}: {error}") from error
    return micro_usd(cost, f"cost of {tool.name} in dollars")


def _result(tool: Tool[..., Any], body: Body) -> Any:
    """What the agent's code gets for an outcome. Raises EffectFailed or ResultUnrecordable."""
    if body["status"] == "FAILED":
        error = body.get("error") or {"type": "EffectFailed", "message": "no reason was given"}
        raise errors.EffectFailed(f"{tool.name}: {error['type']}: {error['message']}")
    if body.get("result_error"):
        raise errors.ResultUnrecordable(f"{tool.name} has acted, but {body['result_error']}")
    try:
        return typed(body["result"], signature_of(tool.function).returns, f"the result of {tool.name}")
    except UsageError as error:
        raise errors.ResultUnrecordable(f"{tool.name} has acted, but {error}") from None


def tool_policy(tool: Tool[..., Any]) -> Body:
    """What a tool declares, as the wire carries it; times in microseconds."""
    options, undo = tool.options, tool.undo
    lifetime = options.key_lifetime
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
    }
