"""One drive: the agent function over its tape to its end, a park, a cancel, a divergence, or a lost lease."""

from __future__ import annotations

import asyncio
from typing import Any

from tape.core.kernel import errors
from tape.core.kernel.errors import RunInterrupted, UsageError
from tape.core.sdk.client import end_own_group
from tape.core.sdk.context import Run, RunContext
from tape.core.sdk.decorators import Agent
from tape.core.sdk.effects import CURRENT_RUN, POINT_HANDLER
from tape.core.sdk.replay import Body
from tape.core.sdk.values import error_json, signature_of, to_json, typed


async def drive(context: RunContext, agent: Agent, given: Any) -> str:
    """Drives the run and sends its last boundary. Returns what it did, for the log."""
    task = asyncio.get_running_loop().create_task(_main(context, agent, given))
    context.main = task
    await asyncio.wait({task})
    ended = _ending(context, task)
    if isinstance(context.signal, errors.LeaseLost) and context.bodies:
        end_own_group("the lease is lost and a tool's body is open")
    while context.bodies:
        await asyncio.wait(context.bodies)
    return await _close(context, ended)


async def _main(context: RunContext, agent: Agent, given: Any) -> Any:
    CURRENT_RUN.set(context)
    if context.armed:
        POINT_HANDLER.set(context.reach)
    signature = signature_of(agent.function)
    names = signature.parameters()
    value = typed(given, signature.annotation(names[1]), f"the input of {agent.name}") if len(names) > 1 else None
    return await agent.function(*([Run(context), value] if len(names) > 1 else [Run(context)]))


def _ending(context: RunContext, task: asyncio.Task[Any]) -> Body:
    """What the agent function came to, as the body of `run_ended`."""
    if task.cancelled():
        error = UsageError("the agent function was cancelled from inside")
        return {"outcome": "FAILED", "error": error_json(error)}
    raised = task.exception()
    if raised is None:
        try:
            return {"outcome": "TERMINAL", "result": to_json(task.result(), "the result of the run")}
        except UsageError as error:
            return {"outcome": "FAILED", "error": error_json(error)}
    if not isinstance(raised, Exception) and context.signal is None and not _only_signals(raised):
        raise raised
    return {"outcome": "FAILED", "error": error_json(raised)}


def _only_signals(raised: BaseException) -> bool:
    """Whether it is one of Tape's signals, or a group that holds one."""
    if isinstance(raised, BaseExceptionGroup):
        return raised.subgroup(RunInterrupted) is not None
    return isinstance(raised, RunInterrupted)


async def _close(context: RunContext, ended: Body) -> str:
    leftover = context.leftover()
    if context.signal is None and leftover is not None:
        context.interrupt(
            errors.RunDiverged(
                f"the code does not fit the tape: recorded {leftover} | the code "
                + ("returned" if ended["outcome"] == "TERMINAL" else f"raised {ended['error']['message']}")
            )
        )
    if context.signal is None:
        context.go_live()
        if context.cancelled:
            ended = {"outcome": "CANCELLED"}
    try:
        await context.durable()
    except RunInterrupted:
        pass  # the signal stands in the context; what it asks for is done below
    signal = context.signal
    if isinstance(signal, errors.LeaseLost):
        return "lost its lease"
    if isinstance(signal, errors.RunDiverged):
        return await _last(context, "diverge", {"why": str(signal)})
    if isinstance(signal, errors.RunParked) or context.in_doubt():
        return await _last(context, "park", {"waits": context.waits(), "why": str(signal or "an effect is in doubt")})
    if isinstance(signal, errors.RunCancelled):
        ended = {"outcome": "CANCELLED"}
    return await _last(context, "finish", {"ended": ended})


async def _last(context: RunContext, kind: str, body: Body) -> str:
    """The drive's last boundary. A refusal means that somebody else decides about the run now."""
    future = context.boundary(kind, body)
    await asyncio.wait({future})
    error = future.exception()
    if error is not None:
        return f"{kind} was refused: {error}"
    return kind
